//! Control planes on a bare machine, for the demo, the tests, the chaos runs and the benchmarks.
//!
//! [`ControlPlane::start`] takes [`ControlPlaneOptions`], finds or builds the programs of Kubernetes, boots etcd,
//! kube-apiserver, kube-controller-manager, kube-scheduler and kwok on free loopback ports in a temporary directory,
//! and returns when they are ready. Nothing is mocked but the kubelets.
//!
//! Nothing outlives this process, however it ends. The crate is never part of a shipped binary: it needs the sources of
//! this repository at run time.

mod access;
mod bench;
mod binaries;
pub mod chaos;
pub mod chart;
pub mod cli;
mod command_line;
mod component;
mod control_plane;
pub mod demo;
mod error;
mod go_build;
mod kubeconfig;
mod kubernetes_version;
mod layout;
mod nodes;
mod operator;
mod options;
mod pki;
mod ports;
mod probe;
mod process;
mod program;
mod progress;
mod readiness_recorder;
mod recording;
mod rng;
mod simulate;
pub mod synthetic;
mod terminal;
mod tools;
mod wait;
mod watchdog;

pub use self::{
    binaries::{ProgramPaths, cache_dir, promtool},
    component::Component,
    control_plane::ControlPlane,
    error::{LabError, Result},
    kubernetes_version::KubernetesVersion,
    nodes::FakeNode,
    operator::{OPERATOR_ENVIRONMENT, OperatorProcess},
    options::{ControlPlaneOptions, MutationChoice},
    program::{KUBERNETES_VERSION, Program},
    progress::{ProgressDisplay, ProgressStep},
    readiness_recorder::{ReadinessRecorder, is_ready},
    simulate::simulate,
    tools::{ToolCommand, ToolOutput},
    wait::eventually,
};
