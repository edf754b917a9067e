//! A real control plane on a bare machine, for the demo, the tests and the benchmarks.
//!
//! [`ControlPlane::start`] finds or builds the programs of Kubernetes, boots etcd, kube-apiserver,
//! kube-controller-manager, kube-scheduler and kwok on free loopback ports in a temporary directory,
//! and waits until they are ready. Nothing is mocked but the kubelets. Nothing outlives this
//! process, however it ends.
//!
//! Never part of a shipped binary: it needs the sources of this repository at run time.

mod access;
mod bench;
mod binaries;
pub mod chaos;
pub mod cli;
mod component;
mod control_plane;
pub mod demo;
mod error;
pub mod estate;
mod go_build;
mod http;
mod kubeconfig;
mod layout;
mod nodes;
mod operator;
mod pki;
mod ports;
mod process;
mod progress;
mod simulate;
mod tools;
mod wait;
mod watchdog;
mod witness;

pub use self::{
    binaries::{Binaries, KUBERNETES_VERSION, Program, cache_dir, promtool},
    component::Component,
    control_plane::{ControlPlane, Options},
    error::{Error, Result},
    nodes::NodeSpec,
    operator::{OPERATOR_ENVIRONMENT, OperatorProcess},
    progress::{Progress, Step},
    simulate::simulate,
    tools::{Invocation, Output},
    wait::eventually,
    witness::{Witness, is_ready},
};
