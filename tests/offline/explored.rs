//! Explored worlds: the whole operator, driven by a run of a small world, asks for what the exploration says that it does.

/// What the operator asked for about running pods in `output` of a simulation, in order.
fn writes(output: &str) -> Vec<String> {
    let lines = output.lines().filter(|line| line.starts_with("  "));
    let told = lines.filter_map(|line| line.trim().split_once(' ').map(|(_, write)| write));
    let moves = told.filter(|write| write.starts_with("eviction ") || write.starts_with("migration "));
    moves.map(|write| write.split(' ').take(3).collect::<Vec<_>>().join(" ").trim_end_matches(':').to_owned()).collect()
}

#[test]
fn the_operator_does_what_was_explored() {
    // Not those in which admission completes a template or an answer is lost: a simulation has neither.
    let runs = [
        "a Deployment that surges",
        "a Deployment in place",
        "a StatefulSet",
        "a Job that bears three failures",
        "a controller that is not known",
        "a StatefulSet and a Deployment",
        "room for one more",
        "no pool is left",
    ];
    for name in runs {
        let run = rempart_explore::example(name).unwrap();
        let output = rempart_lab::simulate(&run.script).unwrap();
        assert_eq!(writes(&output), run.writes, "{name}\n{}\n{output}", run.script);
    }
}
