//! Pool conversion: from a `PlacementPoolSpec` to the core's `Pool`.
//!
//! A pool whose selector cannot be read, or is empty, claims no node and is none.

use super::{
    field::{Converted, FieldReader},
    selector::selector,
};
use crate::api;
use rempart_core::{catalogue::Pool, name::PoolName};

/// Reads the pool `name`. `None` when nobody can tell which nodes it claims.
pub fn pool(name: &str, spec: &api::PlacementPoolSpec) -> Converted<Pool> {
    let api::PlacementPoolSpec { provider, offer, zone, node_selector, provider_id_prefix } = spec;
    let mut problems = Vec::new();
    let name = FieldReader::new("metadata.name", &mut problems).take(PoolName::parse(name));
    let mut reader = FieldReader::new("spec", &mut problems);
    let selector = selector(node_selector, reader.field("nodeSelector"));
    if selector.as_ref().is_some_and(rempart_core::selector::Selector::is_empty) {
        reader.field("nodeSelector").refuse("is empty and would claim every node: name a label of this pool's nodes");
    }
    let value = match (name, selector) {
        (Some(name), Some(selector)) if !selector.is_empty() => Some(Pool {
            name,
            provider: provider.clone(),
            offer: offer.clone(),
            zone: zone.clone(),
            selector,
            provider_id_prefix: provider_id_prefix.clone(),
        }),
        _ => None,
    };
    Converted { value, problems }
}
