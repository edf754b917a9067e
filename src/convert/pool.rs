//! Pool conversion: from a `PlacementPoolSpec` to the core's `Pool`.
//!
//! A pool whose selector cannot be read, or is empty, claims no node and is none.

use super::{
    field::{Converted, FieldReader},
    selector::selector,
};
use crate::api;
use rempart_core::{
    catalogue::{Pool, Price},
    name::{PoolName, quoted},
};

/// Reads the pool `name`. `None` when nobody can tell which nodes it claims.
pub fn pool(name: &str, spec: &api::PlacementPoolSpec) -> Converted<Pool> {
    let api::PlacementPoolSpec { provider, offer, zone, node_selector, provider_id_prefix, price } = spec;
    let mut problems = Vec::new();
    let name = FieldReader::new("metadata.name", &mut problems).take(PoolName::parse(name));
    let mut reader = FieldReader::new("spec", &mut problems);
    let selector = selector(node_selector, reader.field("nodeSelector"));
    if selector.as_ref().is_some_and(rempart_core::selector::Selector::is_empty) {
        reader.field("nodeSelector").refuse("is empty and would claim every node: name a label of this pool's nodes");
    }
    let price = price.as_ref().and_then(|found| self::price(found, reader.field("price")));
    let value = match (name, selector) {
        (Some(name), Some(selector)) if !selector.is_empty() => Some(Pool {
            name,
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
