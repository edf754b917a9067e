//! Quantities of resources, as Kubernetes writes them: `500m`, `1.5Gi`, `2e3`.
//!
//! Takes the text and returns whole units or thousandths, rounded up; what is no quantity is none, never a guess.

/// What `text` amounts to in thousandths, rounded up. `None` when it is no quantity, or less than nothing.
#[must_use]
pub fn thousandths(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    // More digits than these say nothing that a thousandth could hold.
    let fraction = fraction.get(..fraction.len().min(18))?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let (binary, decimal) = scale(suffix)?;
    let amount = digits.checked_mul(1_u128.checked_shl(binary)?)?;
    let exponent = decimal.checked_sub(places)?.checked_add(3)?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs());
    let amount = if amount == 0 {
        0
    } else if exponent >= 0 {
        amount.checked_mul(power?)?
    } else {
        // Whatever is divided by more than fits is next to nothing, and not nothing.
        power.map_or(1, |power| amount.div_ceil(power))
    };
    Some(u64::try_from(amount).unwrap_or(u64::MAX))
}

/// What `text` amounts to, rounded up. `None` when it is no quantity, or less than nothing.
#[must_use]
pub fn units(text: &str) -> Option<u64> {
    // Bytes of memory in thousandths do not always fit.
    match thousandths(text)? {
        u64::MAX => Some(u64::MAX),
        amount => Some(amount.div_ceil(1000)),
    }
}

/// The powers of two and of ten that `suffix` stands for.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    let decimal = |power| Some((0, power));
    let binary = |power| Some((power, 0));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            exponent.parse().ok().filter(|power: &i32| power.abs() <= 30).and_then(decimal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(1000)),
            ("500m", Some(500)),
            ("1.5", Some(1500)),
            (".5", Some(500)),
            ("2.", Some(2000)),
            ("+3", Some(3000)),
            ("100n", Some(1)),
            ("2500u", Some(3)),
            ("0n", Some(0)),
            ("2e3", Some(2_000_000)),
            ("2E3", Some(2_000_000)),
            ("5e-1", Some(500)),
            ("1e-30", Some(1)),
            ("4k", Some(4_000_000)),
            ("1Ki", Some(1_024_000)),
            ("1.5Gi", Some(1_610_612_736_000)),
            ("0.1Ki", Some(102_400)),
            ("1.0000000000000000000000001", Some(1000)),
            ("16E", Some(u64::MAX)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1.2.3", None),
            ("1 Gi", None),
            ("1gi", None),
            ("1e", None),
            ("1e99", None),
            ("one", None),
        ] {
            assert_eq!(thousandths(text), expected, "{text:?}");
        }
    }

    #[test]
    fn memory_is_counted_in_whole_bytes() {
        for (text, expected) in
            [("64Mi", 67_108_864), ("1500m", 2), ("128974848", 128_974_848), ("2Ti", 2_199_023_255_552)]
        {
            assert_eq!(units(text), Some(expected), "{text}");
        }
    }
}
