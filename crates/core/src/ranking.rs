//! Ranking: how good each of the places is that a level may use, by what the officer prefers.
//!
//! Takes preferences and the figures of places, and returns a score of 0 to 100 for each. Of each figure the lowest is worth
//! 1 and any other the lowest divided by it, so that places that differ little score nearly the same; what is unknown is
//! worth 0. The score is the mean by the weights, beside that of the best, which scores 100. Nothing here clears a place.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{
    catalogue::ResolvedPool,
    scheduling::{Figure, Preference},
};

/// How good places are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking<'a> {
    /// The score of each, 0 to 100, in the order in which they were given.
    pub scores: Vec<u8>,
    /// The currency in which prices are compared, where they count and differ in that: that of most places, of equally many
    /// the first by its code.
    pub currency: Option<&'a str>,
    /// How often each figure that counts is not known, or not in that currency.
    pub unknown: BTreeMap<Figure, usize>,
}

/// Ranks `places` by what is `preferred`.
#[must_use]
pub fn rank<'a>(preferred: &[Preference], places: &[ResolvedPool<'a>]) -> Ranking<'a> {
    let is_priced = preferred.iter().any(|preference| preference.by == Figure::Price);
    let mut currencies: BTreeMap<&str, usize> = BTreeMap::new();
    for price in places.iter().filter_map(|place| place.pool.price.as_ref()) {
        let count = currencies.entry(price.currency.as_str()).or_default();
        *count = count.saturating_add(1);
    }
    // Of the last that are greatest the iterator takes the last one.
    let currency = currencies.iter().rev().max_by_key(|(_, count)| **count).map(|(currency, _)| *currency);
    let figure = |place: &ResolvedPool<'_>, by: Figure| {
        let found = match by {
            Figure::Pue => place.zone.pue,
            Figure::CarbonIntensity => place.zone.carbon_intensity,
            Figure::Price => place
                .pool
                .price
                .as_ref()
                .filter(|price| Some(price.currency.as_str()) == currency)
                .map(|price| price.amount),
        };
        found.filter(|figure| figure.is_finite() && *figure >= 0.0)
    };
    let mut sums: Vec<f64> = places.iter().map(|_| 0.0).collect();
    let mut unknown = BTreeMap::new();
    for Preference { by, weight } in preferred {
        let figures: Vec<Option<f64>> = places.iter().map(|place| figure(place, *by)).collect();
        let missing = figures.iter().filter(|found| found.is_none()).count();
        if missing > 0 {
            unknown.insert(*by, missing);
        }
        let best = figures.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        for (sum, figure) in sums.iter_mut().zip(figures) {
            *sum += f64::from(*weight) * figure.map_or(0.0, |figure| worth(figure, best));
        }
    }
    let most = sums.iter().copied().fold(0.0, f64::max);
    let scores = sums.into_iter().map(|sum| if most > 0.0 { rounded(100.0 * sum / most) } else { 0 }).collect();
    let is_mixed = is_priced && currencies.len() > 1;
    Ranking { scores, currency: currency.filter(|_| is_mixed), unknown }
}

/// What a figure is worth beside the `best`, which is not above it.
fn worth(figure: f64, best: f64) -> f64 {
    if figure <= best { 1.0 } else { best / figure }
}

/// The nearest of the numbers 0 to 100.
fn rounded(score: f64) -> u8 {
    let is_above = |number: &u8| score + 0.5 >= f64::from(*number);
    (0..=100).rev().find(is_above).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::prelude::v1::*;

    use super::*;
    use crate::catalogue::{Catalogue, LegalParty, Offer, Pool, PoolRole, Price, Provider, Zone};
    use crate::name::{OfferName, PoolName, ProviderName, RegionName, ZoneName};

    /// What is known of a pool: its zone's effectiveness and carbon intensity, and its price.
    type Figures<'a> = (Option<f64>, Option<f64>, Option<(f64, &'a str)>);
    /// Figures with their weights, pools, and the scores of these.
    type Case<'a> = (&'a [(Figure, u8)], &'a [Figures<'a>], &'a [u8]);

    /// Pools of these figures, each in a zone of its own.
    fn catalogue(figures: &[Figures<'_>]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        let mut zones = BTreeMap::new();
        for (index, (pue, carbon_intensity, price)) in figures.iter().enumerate() {
            let zone = ZoneName::parse(&format!("z{index}")).unwrap();
            let pool = Pool {
                name: PoolName::parse(&format!("p{index}")).unwrap(),
                role: PoolRole::Nodes,
                provider: "acme".to_owned(),
                offer: "cloud".to_owned(),
                zone: zone.to_string(),
                selector: crate::selector::Selector::default(),
                provider_id_prefix: None,
                price: price.map(|(amount, currency)| Price { amount, currency: currency.to_owned() }),
            };
            let region = RegionName::parse("r").unwrap();
            let (pue, carbon_intensity) = (*pue, *carbon_intensity);
            zones.insert(zone.clone(), Zone { name: zone, region, country: None, pue, carbon_intensity });
            catalogue.pools.insert(pool.name.clone(), pool);
        }
        let name = OfferName::parse("cloud").unwrap();
        let offer = Offer { name: name.clone(), technology: vec![], exposed_to: None, zones, qualifications: vec![] };
        let provider = Provider {
            name: ProviderName::parse("acme").unwrap(),
            operator: LegalParty::default(),
            controlling_party: None,
            offers: [(name, offer)].into(),
        };
        catalogue.providers.insert(provider.name.clone(), provider);
        catalogue
    }

    fn scores(preferred: &[(Figure, u8)], figures: &[Figures<'_>]) -> Vec<u8> {
        let catalogue = catalogue(figures);
        let places: Vec<_> = catalogue.pools.values().map(|pool| catalogue.resolve(pool).unwrap()).collect();
        let preferred: Vec<_> = preferred.iter().map(|(by, weight)| Preference { by: *by, weight: *weight }).collect();
        rank(&preferred, &places).scores
    }

    #[test]
    fn the_best_scores_100_and_what_is_unknown_least() {
        let price = |amount| (None, None, Some((amount, "EUR")));
        let table: [Case<'_>; 7] = [
            (&[(Figure::Price, 40)], &[price(0.28), price(0.56), (None, None, None)], &[100, 50, 0]),
            // A thousandth is no difference.
            (&[(Figure::Price, 1)], &[price(0.28), price(0.2801)], &[100, 100]),
            // For nothing is better than for anything.
            (&[(Figure::Price, 1)], &[price(0.0), price(0.01)], &[100, 0]),
            (&[(Figure::Pue, 1)], &[(Some(1.2), None, None), (Some(1.5), None, None)], &[100, 80]),
            // Weights as given: (60 + 20) and (12 + 40) of 100.
            (
                &[(Figure::CarbonIntensity, 60), (Figure::Price, 40)],
                &[(None, Some(44.0), Some((2.0, "EUR"))), (None, Some(220.0), Some((1.0, "EUR")))],
                &[100, 65],
            ),
            (&[(Figure::Price, 1)], &[(None, None, None), (None, None, None)], &[0, 0]),
            // What is in another currency than most is not compared.
            (&[(Figure::Price, 1)], &[price(2.0), (None, None, Some((1.0, "CHF"))), price(1.0)], &[50, 0, 100]),
        ];
        for (preferred, figures, expected) in table {
            assert_eq!(scores(preferred, figures), expected, "{preferred:?} of {figures:?}");
        }
    }

    #[test]
    fn of_as_many_currencies_the_first_by_its_code_counts() {
        let figures = [(None, None, Some((1.0, "EUR"))), (None, None, Some((1.0, "CHF")))];
        let catalogue = catalogue(&figures);
        let places: Vec<_> = catalogue.pools.values().map(|pool| catalogue.resolve(pool).unwrap()).collect();
        let found = rank(&[Preference { by: Figure::Price, weight: 1 }], &places);
        assert_eq!(
            (found.currency, found.scores, found.unknown),
            (Some("CHF"), vec![0, 100], [(Figure::Price, 1)].into())
        );
    }
}
