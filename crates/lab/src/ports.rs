//! Free ports on the loopback interface, for the components and for the operator.
//!
//! A port is reserved by listening on it and released to the process that binds it next. Ports come from below the
//! ephemeral range, so that no outgoing connection takes the port of a component while it is down.

use std::{
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
};

use super::{LabError, Result, component::Component};

/// First port of the range, which is below the ephemeral ports of Linux (32768) and macOS (49152), so
/// that no outgoing connection takes the port of a component while it is down.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port that nobody else may take until it is released to the component that will listen on it.
#[derive(Debug)]
pub(super) struct ReservedPort {
    listener: TcpListener,
    port: u16,
}

impl ReservedPort {
    /// Takes a free port. The search starts anywhere, so that labs that start at once rarely meet.
    pub(super) fn take() -> Result<Self> {
        let start = u16::try_from(RandomState::new().hash_one(()) % u64::from(COUNT)).unwrap_or_default();
        (0..COUNT)
            .map(|offset| FIRST + (start + offset) % COUNT)
            .find_map(|port| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
                Some(Self { listener, port })
            })
            .ok_or_else(|| LabError::Unsupported(format!("no port from {FIRST} to {} is free", FIRST + COUNT - 1)))
    }

    /// Frees the port for its component.
    pub(super) fn release(self) -> u16 {
        drop(self.listener);
        self.port
    }
}

/// The ports of the components.
#[derive(Clone, Copy, Debug)]
pub(super) struct ComponentPorts {
    etcd: u16,
    pub(super) etcd_peer: u16,
    api_server: u16,
    controller_manager: u16,
    scheduler: u16,
    kwok: u16,
    /// Of the operator's webhook, which an API server knows by it.
    pub(super) webhook: u16,
}

impl ComponentPorts {
    /// The port on which a component serves.
    pub(super) const fn of(self, component: Component) -> u16 {
        match component {
            Component::Etcd => self.etcd,
            Component::ApiServer => self.api_server,
            Component::ControllerManager => self.controller_manager,
            Component::Scheduler => self.scheduler,
            Component::Kwok => self.kwok,
        }
    }

    /// Takes one for each component.
    pub(super) fn take() -> Result<Self> {
        // Held together, so that they differ, and released at once: a component must bind its own.
        let reserved = [
            ReservedPort::take()?,
            ReservedPort::take()?,
            ReservedPort::take()?,
            ReservedPort::take()?,
            ReservedPort::take()?,
            ReservedPort::take()?,
            ReservedPort::take()?,
        ];
        let [etcd, etcd_peer, api_server, controller_manager, scheduler, kwok, webhook] =
            reserved.map(ReservedPort::release);
        Ok(Self { etcd, etcd_peer, api_server, controller_manager, scheduler, kwok, webhook })
    }
}
