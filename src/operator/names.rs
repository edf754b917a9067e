//! Names: what the operator calls itself on objects, and what it keeps in the cluster by name.

/// Who the API server records as the writer of a field, and the reporter of an event.
pub const FIELD_MANAGER: &str = "rempart";
/// The label of every object that the operator makes.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "rempart");
/// What holds a policy until admission has let go of it.
pub const FINALIZER: &str = "rempart.dev/admission";
