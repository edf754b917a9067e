//! The commands as people type them: folders of manifests with lines of commands, and what those print.
//!
//! Each folder of tests/scenarios holds manifests of its own and `commands.txt`, a command a line, without its name; what
//! follows `<` is its standard input. The whole output and the exit code are kept as a snapshot.

use std::{
    fmt::Write as _,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The command, with nothing of this machine in its environment.
fn rempart(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rempart"));
    command.current_dir(folder).env_clear().env("HOME", "/nonexistent");
    command
}

/// What `line` prints in `folder`, and how it ends.
fn run(folder: &Path, line: &str) -> String {
    let (arguments, input) = line.split_once('<').unwrap_or((line, ""));
    // A file and not a pipe: a command may end before it has read everything.
    let stdin = match input.trim() {
        "" => Stdio::null(),
        name => Stdio::from(std::fs::File::open(folder.join(name)).unwrap()),
    };
    let output = rempart(folder).args(arguments.split_whitespace()).stdin(stdin).output().unwrap();
    let mut told = format!("$ rempart {line}\n");
    for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        let text = String::from_utf8(bytes).unwrap();
        if !text.is_empty() {
            writeln!(told, "--- {name}\n{}", text.trim_end_matches('\n')).unwrap();
        }
    }
    writeln!(told, "--- exit {}", output.status.code().map_or("by signal".to_owned(), |code| code.to_string()))
        .unwrap();
    told
}

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut folders: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("commands.txt").exists());
    folders.sort();
    folders
}

#[test]
fn every_command_of_every_scenario_prints_what_it_did() {
    let mut played = 0;
    for folder in scenarios() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let commands = std::fs::read_to_string(folder.join("commands.txt")).unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(folder.join("snapshots"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (i, line) in commands.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate() {
            let told = run(&folder, line);
            let slug: String = line.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
            settings.bind(|| insta::assert_snapshot!(format!("{:02}-{}", i + 1, slug.trim_end_matches('-')), told));
            played += 1;
        }
        assert!(played > 0, "{name} plays nothing");
    }
    assert!(played >= 30, "only {played} commands were played");
}

#[test]
fn a_thousand_wrong_files_give_a_thousand_diagnostics() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..1000 {
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p{i}\n  name: again\n");
        std::fs::write(folder.path().join(format!("{i:04}.yaml")), text).unwrap();
    }
    let output = rempart(folder.path()).args(["plan", "."]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.matches("error[DuplicateKey]").count(), 1000, "{}", &told[..told.len().min(500)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told.contains("1000 errors"), "{}", &told[told.len() - 200..]);
}

#[test]
fn charts_and_kustomizations_are_rendered_by_their_programs() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    // Each says with what it was called, as the name of what it makes.
    let program = |name: &str| {
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: []}\n";
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *broken*) echo \"no such thing\" >&2; exit 1;; esac\n\
                            printf '{pod}' \"$(echo {name} $* | tr ' /' '..')\"\n"
        );
        let path = write(&format!("bin/{name}"), &text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("helm");
    program("kubectl");
    let policy = "apiVersion: rempart.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  mode: Enforce\n  \
                  defaultLevel: open\n  levels: [{name: open}]\n";
    write("repo/policy.yaml", policy);
    write("repo/chart/Chart.yaml", "name: chart\n");
    write("repo/over/kustomization.yaml", "namespace: x\nresources: [../base]\n");
    write("repo/base/kustomization.yaml", "resources: []\n");
    let plan = |paths: &[&str]| {
        let mut command = rempart(folder.path());
        let programs = folder.path().join("bin").display().to_string();
        command.env("PATH", format!("{programs}:/usr/bin:/bin")).arg("plan").args(paths);
        let told = command.args(["--render", "-o", "json"]).output().unwrap();
        (String::from_utf8(told.stdout).unwrap(), String::from_utf8(told.stderr).unwrap(), told.status.code())
    };
    let (out, err, code) = plan(&["repo"]);
    for made in ["helm.template.chart.repo.chart.--namespace.default", "kubectl.kustomize.repo.over"] {
        assert!(out.contains(made), "{made}: {out}{err}");
    }
    assert_eq!((err.contains("NotRendered"), code), (false, Some(0)), "{err}");
    write("repo/broken/Chart.yaml", "name: broken\n");
    // In a repository it costs itself alone; who names it wants it.
    let said = "[RenderFailed]: `helm template broken repo/broken --namespace default`: no such";
    let (out, err, code) = plan(&["repo"]);
    assert!(err.contains(&format!("warning{said}")), "{err}");
    let out: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&out["notRead"][0]["path"], code), (&serde_json::json!("repo/broken"), Some(0)), "{out}");
    let (_, err, code) = plan(&["repo", "repo/broken/"]);
    assert!(err.contains(&format!("error{said}")), "{err}");
    assert_eq!(code, Some(2));
}

#[test]
fn a_text_that_is_too_large_to_be_kept_is_judged_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "apiVersion: rempart.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  mode: Enforce\n  \
                  defaultLevel: open\n  levels: [{name: open}]\n";
    let item = |name: &str, level: &str| {
        format!(
            "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: {name}\n    annotations:\n      rempart.dev/sensitivity: \
             {level}\n  spec: {{containers: []}}\n"
        )
    };
    let filler = format!(
        "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: c}}\n  data: {{x: {}}}\n",
        "y".repeat(1 << 20)
    );
    let list = |fillers: usize| {
        let items = [item("first", "open"), filler.repeat(fillers), item("last", "opne")].concat();
        format!("{policy}---\napiVersion: v1\nitems:\n{items}kind: List\n")
    };
    let told = |fillers: usize| {
        std::fs::write(folder.path().join("list.yaml"), list(fillers)).unwrap();
        let stdin = std::fs::File::open(folder.path().join("list.yaml")).unwrap();
        let output = rempart(folder.path()).args(["plan", "-", "-o", "json"]).stdin(stdin).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (text.replace(&format!("\"ignored\": {fillers}"), "\"ignored\": n"), output.status.code())
    };
    let mut one = told(1);
    let mut other = told(66);
    for (text, _) in [&mut one, &mut other] {
        *text = text.lines().filter(|line| !line.contains("\"at\":")).collect();
    }
    assert_eq!(one.1, Some(1));
    assert_eq!(one, other);
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/clinic");
    let mut child = rempart(&folder)
        .args(["plan", "before", "cluster.json", "workloads.yaml", "--at", "2026-11-22", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!(complaint, "");
    assert_eq!(child.wait().unwrap().code(), Some(1), "the pod that is refused, not the pipe that is closed");
}

#[test]
fn colour_is_for_those_who_ask_for_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/clinic");
    let coloured = |arguments: &[&str], no_color: bool| {
        let mut command = rempart(&folder);
        command.args(["plan", "before", "workloads.yaml", "--at", "2026-11-22"]).args(arguments);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        String::from_utf8(command.output().unwrap().stdout).unwrap().contains('\u{1b}')
    };
    assert!(!coloured(&[], false), "a pipe is no terminal");
    assert!(coloured(&["--color", "always"], false));
    assert!(coloured(&["--color", "always"], true), "who says always means it");
    assert!(!coloured(&["--color", "never"], false));
}

#[test]
fn as_a_plugin_it_speaks_of_kubectl() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-rempart");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rempart"), &plugin).unwrap();
    let told = Command::new(plugin).env_clear().args(["plan", "--help"]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("Usage: kubectl rempart plan"), "{told}");
    assert!(told.contains("\n  kubectl rempart plan deploy/demo\n"), "{told}");
}

#[test]
fn every_shell_can_complete_every_command() {
    for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef rempart"), ("fish", "complete -c rempart")] {
        let told = rempart(Path::new("/")).args(["completion", shell]).output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        for word in [mark, "plan", "impact", "explain", "lint", "completion", "crds"] {
            assert!(told.contains(word), "{shell}: {word}");
        }
    }
}
