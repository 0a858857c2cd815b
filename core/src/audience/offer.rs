//! Released values: the path's values in the form that the audience releases, over time.
//!
//! In: scalars of one resource. Out: the one it offers, with what orders it among other resources' offers.
//! Never here: which audience releases it.

use super::{Form, Pick};
use crate::fhirpath::Scalar;
use crate::phi::Phi;
use crate::time::{Instant, Moment, Period, Precision, Zone};
use crate::timeline::Steps;
use jiff::civil;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One value that may be released.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    pub order: Order,
    pub text: Phi<String>,
}

/// What `pick: latest` compares.
#[derive(Clone, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Order {
    Text(Phi<String>),
    Number(#[serde(with = "decimal")] Decimal),
    Instant(Instant),
}

/// A decimal in its own 16 bytes: its crate's serde form needs a self-describing format.
mod decimal {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(number: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        number.serialize().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        <[u8; 16]>::deserialize(deserializer).map(Decimal::deserialize)
    }
}

/// What one resource offers at each instant: of several values the first, or the latest by value.
/// A value that cannot take the form is not offered.
pub fn offers(scalars: &Steps<Vec<Scalar>>, form: Form, pick: Pick, zone: &Zone, from: Instant) -> Steps<Option<Offer>> {
    if form == Form::AgeBand {
        // Age moves with time by itself; the birth date does not.
        let birth = scalars.first().iter().find_map(|scalar| match scalar {
            Scalar::Moment(moment) => Some(*moment),
            _ => None,
        });
        return birth.map_or_else(|| Steps::always(None), |birth| age_bands(&birth, zone).since(from));
    }
    scalars.map(|scalars| {
        let mut candidates = scalars.iter().filter_map(|scalar| offer(scalar, form, zone));
        match pick {
            Pick::First => candidates.next(),
            Pick::Latest => candidates.reduce(|a, b| if std::ptr::eq(later(&a, &b), &a) { a } else { b }),
        }
    })
}

/// Of two offers the later by value; of equal ones the first.
pub fn later<'a>(a: &'a Offer, b: &'a Offer) -> &'a Offer {
    if b.order.partial_cmp(&a.order) == Some(std::cmp::Ordering::Greater) { b } else { a }
}

fn offer(scalar: &Scalar, form: Form, zone: &Zone) -> Option<Offer> {
    let plain = text_of(scalar)?;
    let order = match scalar {
        Scalar::Moment(moment) => Order::Instant(moment.earliest(zone)),
        Scalar::Integer(n) => Order::Number(Decimal::from(*n)),
        Scalar::Decimal(n) => Order::Number(*n),
        _ => Order::Text(Phi::new(plain.clone())),
    };
    let text = match form {
        Form::AsIs => plain,
        Form::Month => day_of(scalar, Precision::Month, zone)?.strftime("%Y-%m").to_string(),
        Form::Year => day_of(scalar, Precision::Year, zone)?.strftime("%Y").to_string(),
        Form::Zip3 => zip3(&plain)?,
        Form::Hash => digest(&plain),
        Form::AgeBand => return None,
    };
    Some(Offer { order, text: Phi::new(text) })
}

/// What stands for a hashed value until the recipient's key makes it that recipient's own.
fn digest(plain: &str) -> String {
    Sha256::digest(plain.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn text_of(scalar: &Scalar) -> Option<String> {
    Some(match scalar {
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Text(text) => text.clone(),
        Scalar::Integer(n) => n.to_string(),
        Scalar::Decimal(n) => n.to_string(),
        Scalar::Moment(moment) => moment.written(),
        // A quantity or a time of day is not a released value (checked when the audience is read).
        _ => return None,
    })
}

/// The day in the organisation's zone, where the value is at least as precise as asked.
fn day_of(scalar: &Scalar, precision: Precision, zone: &Zone) -> Option<civil::Date> {
    let Scalar::Moment(moment) = scalar else { return None };
    match moment.precision {
        have if have < precision => None,
        have if have <= Precision::Day => Some(moment.local.date()),
        _ => zone.local(moment.earliest(zone)).map(jiff::civil::DateTime::date),
    }
}

/// Ten-year bands up to 80-89, then 90+. A partial birth date has a band only while all days it allows share it.
fn age_bands(birth: &Moment, zone: &Zone) -> Steps<Option<Offer>> {
    let first = birth.local.date();
    let last = birth.last_day().unwrap_or(first);
    let (oldest, youngest) = (bands_of(first, zone), bands_of(last, zone));
    oldest.zip(&youngest, |a, b| {
        let band = a.filter(|_| a == b)?;
        let text = if band == 9 { "90+".to_owned() } else { format!("{}-{}", band * 10, band * 10 + 9) };
        Some(Offer { order: Order::Number(Decimal::from(band)), text: Phi::new(text) })
    })
}

/// The decade of age; `None` before birth. An age is reached on the first day whose date less so many years is not
/// before the birth date: for 29 February that is 1 March in common years.
fn bands_of(birth: civil::Date, zone: &Zone) -> Steps<Option<u8>> {
    let mut out = Steps::always(None);
    for band in 0..=9u8 {
        let years = Period::months(i32::from(band) * 120);
        let Some(mut day) = years.add_to_date(birth) else { break };
        if years.negated().add_to_date(day).is_some_and(|back| back < birth) {
            match day.tomorrow() {
                Ok(next) => day = next,
                Err(_) => break,
            }
        }
        out.push(zone.start_of_day(day), Some(band));
    }
    out
}

/// The first three digits of a ZIP code, `000` where fewer than 20,001 people live in the area
/// (45 CFR 164.514(b)(2)(i)(B); 2020 census), and for a prefix that is not in use.
fn zip3(text: &str) -> Option<String> {
    let prefix = text.get(..3).filter(|prefix| prefix.bytes().all(|b| b.is_ascii_digit()))?;
    let number: u16 = prefix.parse().ok()?;
    let open = ZIP3_IN_USE.iter().any(|(from, to)| (*from..=*to).contains(&number)) && !ZIP3_SMALL_2020.contains(&number);
    Some(if open { prefix.to_owned() } else { "000".to_owned() })
}

const ZIP3_SMALL_2020: [u16; 18] = [36, 59, 102, 202, 203, 204, 205, 369, 556, 692, 753, 772, 821, 823, 878, 879, 884, 893];

/// Prefixes that the postal service has given out to places, as ranges.
const ZIP3_IN_USE: [(u16, u16); 49] = [
    (5, 98),
    (100, 212),
    (214, 268),
    (270, 342),
    (344, 344),
    (346, 347),
    (349, 352),
    (354, 418),
    (420, 427),
    (430, 516),
    (520, 528),
    (530, 532),
    (534, 535),
    (537, 551),
    (553, 567),
    (570, 577),
    (580, 588),
    (590, 620),
    (622, 631),
    (633, 641),
    (644, 658),
    (660, 662),
    (664, 681),
    (683, 693),
    (700, 701),
    (703, 708),
    (710, 714),
    (716, 731),
    (733, 741),
    (743, 770),
    (772, 816),
    (820, 838),
    (840, 847),
    (850, 853),
    (855, 857),
    (859, 860),
    (863, 865),
    (870, 871),
    (873, 875),
    (877, 885),
    (889, 891),
    (893, 895),
    (897, 898),
    (900, 908),
    (910, 928),
    (930, 961),
    (967, 968),
    (970, 986),
    (988, 999),
];
