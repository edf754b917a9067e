//! Pool conversion: from a `PlacementPoolSpec` to the core's `Pool`.
//!
//! A pool of nodes whose selector cannot be read, or is empty, claims no node and is none. One of the control plane claims none
//! by nature.

use super::{
    field::{Converted, FieldReader},
    selector::selector,
};
use crate::api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use rempart_core::{
    catalogue::{Pool, PoolRole, Price},
    name::{PoolName, quoted},
    selector::Selector,
};

/// Reads the pool `name`. `None` when nobody can tell which nodes it claims.
pub fn pool(name: &str, spec: &api::PlacementPoolSpec) -> Converted<Pool> {
    let api::PlacementPoolSpec { provider, offer, zone, node_selector, provider_id_prefix, price, role } = spec;
    let mut problems = Vec::new();
    let name = FieldReader::new("metadata.name", &mut problems).take(PoolName::parse(name));
    let mut reader = FieldReader::new("spec", &mut problems);
    let role = match role.unwrap_or_default() {
        api::PoolRole::Nodes => PoolRole::Nodes,
        api::PoolRole::ControlPlane => PoolRole::ControlPlane,
    };
    let selector = match role {
        PoolRole::Nodes => nodes(node_selector.as_ref(), &mut reader),
        // What the definition forbids it to say of nodes is not looked at.
        PoolRole::ControlPlane => Some(Selector::default()),
    };
    let price = price.as_ref().and_then(|found| self::price(found, reader.field("price")));
    let value = match (name, selector) {
        (Some(name), Some(selector)) => Some(Pool {
            name,
            role,
            provider: provider.clone(),
            offer: offer.clone(),
            zone: zone.clone(),
            selector,
            provider_id_prefix: provider_id_prefix.clone(),
            price,
        }),
        _ => None,
    };
    Converted { value, problems }
}

/// The nodes of a pool; `None` when nobody can tell which they are.
fn nodes(found: Option<&LabelSelector>, reader: &mut FieldReader<'_>) -> Option<Selector> {
    let Some(found) = found else {
        reader
            .field("nodeSelector")
            .refuse("is missing: name the labels of this pool's nodes, or write role: ControlPlane");
        return None;
    };
    let read = selector(found, reader.field("nodeSelector"))?;
    if read.is_empty() {
        reader.field("nodeSelector").refuse("is empty and would claim every node: name a label of this pool's nodes");
        return None;
    }
    Some(read)
}

/// A price that cannot be read is not known.
fn price(found: &api::NodePrice, mut reader: FieldReader<'_>) -> Option<Price> {
    let api::NodePrice { amount, currency } = found;
    let number = amount.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    // What Rust reads beyond digits and a point, an exponent or a sign, nobody writes in a price.
    let number = number.filter(|_| amount.chars().all(|c| c.is_ascii_digit() || c == '.'));
    if number.is_none() {
        let amount = quoted(amount);
        reader
            .field("amount")
            .refuse(format_args!("{amount:?} is not a price: write digits with a point, as \"0.28\""));
    }
    let is_code = currency.len() == 3 && currency.chars().all(|c| c.is_ascii_uppercase());
    if !is_code {
        let currency = quoted(currency);
        reader
            .field("currency")
            .refuse(format_args!("{currency:?} is not a currency: write a code of ISO 4217, as EUR"));
    }
    Some(Price { amount: number.filter(|_| is_code)?, currency: currency.clone() })
}
