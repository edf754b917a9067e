//! Free ports on the loopback interface.

use std::{
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
};

use super::{Error, Result};

/// Where ports are looked for: below the ephemeral ports of Linux (32768) and macOS (49152), so
/// that no outgoing connection takes the port of a component while it is down.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port that nobody else may take until it is released to the component that will listen on it.
#[derive(Debug)]
pub(super) struct Reserved {
    listener: TcpListener,
    port: u16,
}

impl Reserved {
    /// Takes a free port. The search starts anywhere, so that labs that start at once rarely meet.
    pub(super) fn take() -> Result<Self> {
        let start = u16::try_from(RandomState::new().hash_one(()) % u64::from(COUNT)).unwrap_or_default();
        (0..COUNT)
            .map(|offset| FIRST + (start + offset) % COUNT)
            .find_map(|port| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
                Some(Self { listener, port })
            })
            .ok_or_else(|| Error::Unsupported(format!("no port from {FIRST} to {} is free", FIRST + COUNT - 1)))
    }

    /// Frees the port for its component.
    pub(super) fn release(self) -> u16 {
        drop(self.listener);
        self.port
    }
}
