//! The files of the image's root: the binary, the authorities of the web, and the licence. Nothing else is in it, no shell either.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context as _, ensure};
use object::{
    Endianness,
    elf::PT_INTERP,
    read::elf::{ElfFile64, ProgramHeader},
};

/// Where programs that were built with `OpenSSL`'s defaults, and those of Go and Rust, look for authorities.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
/// The binary.
pub(crate) const BINARY: &str = "rempart";

/// A file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RootFile {
    /// Its path, from the root.
    pub(crate) path: &'static str,
    pub(crate) mode: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The files, by path.
#[derive(Debug)]
pub(crate) struct RootFiles(pub(crate) Vec<RootFile>);

impl RootFiles {
    /// Those of an image with `binary`, which must be a static one for Linux.
    pub(crate) fn new(binary: Vec<u8>, licence: Vec<u8>) -> anyhow::Result<Self> {
        let elf = ElfFile64::<Endianness>::parse(&*binary).context("no 64-bit binary for Linux")?;
        let is_dynamic = elf.elf_program_headers().iter().any(|header| header.p_type(elf.endian()) == PT_INTERP);
        ensure!(!is_dynamic, "it is not static: build it as `make image` does, or it does not start in an empty image");
        let authorities = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let authorities =
            authorities.map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.to_vec()))).collect::<String>();
        Ok(Self(vec![
            RootFile { path: "LICENSE", mode: 0o644, bytes: licence },
            RootFile { path: AUTHORITIES, mode: 0o644, bytes: authorities.into_bytes() },
            RootFile { path: BINARY, mode: 0o755, bytes: binary },
        ]))
    }

    /// Writes them into the directory `into`.
    pub(crate) fn write(&self, into: &Path) -> anyhow::Result<()> {
        for RootFile { path, mode, bytes } in &self.0 {
            let path = into.join(path);
            let written = || {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::write(&path, bytes)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode))
            };
            written().with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }
}
