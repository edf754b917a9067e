//! Archives of an OCI image layout: what `docker load`, `skopeo copy oci-archive:…` and `crane push` take.
//!
//! The same files and labels give the same bytes, whoever makes them and when.

use std::{collections::BTreeSet, fmt::Write as _, io::Write as _, path::Path};

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use oci_spec::image::{
    Arch, ConfigBuilder, DescriptorBuilder, ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, OciLayoutBuilder, Os, RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use crate::root_files::{BINARY, RootFile, RootFiles};

/// Who the process is unless told otherwise: nobody of the host.
pub(crate) const USER: &str = "65532:65532";

/// What is said of an image.
#[derive(Clone, Debug)]
pub(crate) struct ImageLabels {
    /// When it was made, in seconds since 1970.
    pub(crate) created: i64,
    /// The commit that it is built from.
    pub(crate) revision: String,
    /// The version of Rempart.
    pub(crate) version: String,
}

/// An archive.
#[derive(Debug)]
pub(crate) struct ImageArchive {
    /// The digest of the image, by which it is pulled.
    pub(crate) digest: String,
    /// How large what is pulled is, in bytes.
    pub(crate) compressed: usize,
    pub(crate) bytes: Vec<u8>,
}

/// A piece of an image, known by its digest.
struct ImageBlob {
    digest: String,
    bytes: Vec<u8>,
}

impl ImageBlob {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: hex(&bytes), bytes }
    }

    /// JSON in the order of names: maps of the types have none.
    fn json(value: &impl Serialize) -> anyhow::Result<Self> {
        Ok(Self::new(serde_json::to_vec(&serde_json::to_value(value)?)?))
    }

    fn descriptor(&self, kind: MediaType) -> anyhow::Result<oci_spec::image::Descriptor> {
        let digest: Sha256Digest = self.digest.parse()?;
        Ok(DescriptorBuilder::default().media_type(kind).size(self.bytes.len() as u64).digest(digest).build()?)
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // A text takes whatever is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The image of `files`, for Linux on amd64.
pub(crate) fn of(files: &RootFiles, labels: &ImageLabels) -> anyhow::Result<ImageArchive> {
    let layer = layer(files)?;
    let diff = format!("sha256:{}", hex(&layer));
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(&layer)?;
    let layer = ImageBlob::new(gzip.finish()?);
    let created = Timestamp::from_second(labels.created).context("no instant at which an image is made")?.to_string();
    let said = [
        ("title", "Rempart"),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("licenses", "Apache-2.0"),
        ("version", &labels.version),
        ("revision", &labels.revision),
        ("created", &created),
    ];
    let said = said.map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_owned()));
    let config = ConfigBuilder::default()
        .user(USER)
        .entrypoint(vec![format!("/{BINARY}")])
        .working_dir("/")
        .labels(said.clone())
        .build()?;
    let roots = RootFsBuilder::default().typ("layers").diff_ids(vec![diff]).build()?;
    let configuration = ImageConfigurationBuilder::default()
        .created(created)
        .architecture(Arch::Amd64)
        .os(Os::Linux)
        .config(config)
        .rootfs(roots)
        .build()?;
    let configuration = ImageBlob::json(&configuration)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(configuration.descriptor(MediaType::ImageConfig)?)
        .layers(vec![layer.descriptor(MediaType::ImageLayerGzip)?])
        .annotations(said)
        .build()?;
    let manifest = ImageBlob::json(&manifest)?;
    let mut listed = manifest.descriptor(MediaType::ImageManifest)?;
    let name = [("org.opencontainers.image.ref.name".to_owned(), labels.version.clone())];
    listed.set_annotations(Some(name.into()));
    let index = ImageIndexBuilder::default().schema_version(SCHEMA_VERSION).manifests(vec![listed]).build()?;
    let index = ImageBlob::json(&index)?;
    let layout = ImageBlob::json(&OciLayoutBuilder::default().image_layout_version("1.0.0".to_owned()).build()?)?;

    let mut entries = vec![("oci-layout".to_owned(), layout.bytes), ("index.json".to_owned(), index.bytes)];
    let compressed = layer.bytes.len() + configuration.bytes.len() + manifest.bytes.len();
    let digest = format!("sha256:{}", manifest.digest);
    entries.extend([configuration, manifest, layer].map(|blob| (format!("blobs/sha256/{}", blob.digest), blob.bytes)));
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in entries {
        append(&mut archive, &path, 0o644, EntryType::Regular, &bytes)?;
    }
    Ok(ImageArchive { digest, compressed, bytes: archive.into_inner()? })
}

/// The files with their directories, as a layer.
fn layer(files: &RootFiles) -> anyhow::Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::new());
    let parents = files.0.iter().flat_map(|file| Path::new(file.path).ancestors().skip(1));
    let directories: BTreeSet<_> = parents.filter(|parent| !parent.as_os_str().is_empty()).collect();
    for directory in directories {
        append(&mut layer, &format!("{}/", directory.display()), 0o755, EntryType::Directory, &[])?;
    }
    for RootFile { path, mode, bytes } in &files.0 {
        append(&mut layer, path, *mode, EntryType::Regular, bytes)?;
    }
    Ok(layer.into_inner()?)
}

/// Appends what nobody in particular owns and no time has touched.
fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    mode: u32,
    kind: EntryType,
    bytes: &[u8],
) -> anyhow::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    Ok(archive.append_data(&mut header, path, bytes)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use serde_json::Value;

    use super::*;

    fn files() -> RootFiles {
        let file = |path, mode, text: &str| RootFile { path, mode, bytes: text.as_bytes().into() };
        RootFiles(vec![file("etc/ssl/certs/ca-certificates.crt", 0o644, "authorities"), file(BINARY, 0o755, "binary")])
    }

    fn labels() -> ImageLabels {
        ImageLabels { created: 1_795_000_000, revision: "abc".to_owned(), version: "0.1.0".to_owned() }
    }

    /// The entries of an archive: path, mode and content.
    fn entries(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let (path, mode) = (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap());
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (path, mode, content)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn the_dockerfile_says_the_same() {
        let dockerfile = include_str!("../../../deploy/Dockerfile");
        let (_, last) = dockerfile.split_once("FROM scratch\n").unwrap();
        let said: Vec<_> = last.lines().filter(|line| !line.is_empty()).collect();
        let user = format!("USER {USER}");
        let entrypoint = format!("ENTRYPOINT [\"/{BINARY}\"]");
        assert_eq!(said, ["COPY --from=build /rempart/target/image/files/ /", &user, &entrypoint]);
        // What is copied is what `RootFiles` writes, by the same target of make as here.
        assert!(dockerfile.contains("RUN make image-root\n"));
        let toolchain = include_str!("../../../rust-toolchain.toml");
        let (_, version) = dockerfile.split_once("FROM rust:").unwrap();
        let version = version.split('-').next().unwrap();
        assert!(toolchain.contains(&format!("channel = \"{version}.")), "{version}");
    }

    #[test]
    fn the_same_files_make_the_same_image() {
        let [one, other] = [0, 1].map(|_| of(&files(), &labels()).unwrap());
        assert_eq!((&one.digest, &one.bytes), (&other.digest, &other.bytes));
        let later = ImageLabels { revision: "def".to_owned(), ..labels() };
        assert_ne!(of(&files(), &later).unwrap().digest, one.digest);
    }

    #[test]
    fn each_blob_is_what_its_digest_says_and_the_layer_holds_the_files() {
        let image = of(&files(), &labels()).unwrap();
        let entries_of_image = entries(&image.bytes);
        let blob = |digest: &str| {
            let path = format!("blobs/{}", digest.replace(':', "/"));
            entries_of_image.iter().find(|(found, ..)| *found == path).map(|(.., content)| content.clone()).unwrap()
        };
        for (path, _, content) in entries_of_image.iter().filter(|(path, ..)| path.starts_with("blobs/")) {
            assert_eq!(path.rsplit('/').next().unwrap(), hex(content));
        }
        let manifest: Value = serde_json::from_slice(&blob(&image.digest)).unwrap();
        let configuration: Value =
            serde_json::from_slice(&blob(manifest["config"]["digest"].as_str().unwrap())).unwrap();
        assert_eq!(configuration["config"]["User"], USER);
        assert_eq!(configuration["config"]["Entrypoint"], serde_json::json!(["/rempart"]));
        let mut layer = Vec::new();
        GzDecoder::new(&*blob(manifest["layers"][0]["digest"].as_str().unwrap())).read_to_end(&mut layer).unwrap();
        assert_eq!(configuration["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&layer)));
        let found: Vec<_> = entries(&layer).into_iter().map(|(path, mode, _)| (path, mode)).collect();
        let expected = [
            ("etc/", 0o755),
            ("etc/ssl/", 0o755),
            ("etc/ssl/certs/", 0o755),
            ("etc/ssl/certs/ca-certificates.crt", 0o644),
            ("rempart", 0o755),
        ];
        assert_eq!(found, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }
}
