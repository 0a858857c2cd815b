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
use std::cmp::Ordering;

/// One value that may be released, as little of it as its form needs; what `pick: latest` compares is in it, too.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Offer {
    Text(Phi<Box<str>>),
    /// The text, and what orders it, where that is another: the whole of what is released in part.
    Ordered(Phi<Box<str>>, Phi<Box<str>>),
    Number(#[serde(with = "decimal")] Decimal),
    /// A date as it was written, and its first instant.
    Written(Instant, Phi<Box<str>>),
    /// The first instant of a date that is released as a month or year of the organisation's zone.
    Instant(Instant),
    /// A decade of age.
    Band(u8),
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
        let mut candidates = scalars.iter().filter_map(|scalar| offer(scalar, form, pick, zone));
        match pick {
            Pick::First => candidates.next(),
            Pick::Latest => candidates.reduce(|a, b| if std::ptr::eq(later(&a, &b), &a) { a } else { b }),
        }
    })
}

/// Of two offers the later by value; of equal ones, and of ones that have no order, the first.
pub fn later<'a>(a: &'a Offer, b: &'a Offer) -> &'a Offer {
    if order(b, a) == Some(Ordering::Greater) { b } else { a }
}

fn order(a: &Offer, b: &Offer) -> Option<Ordering> {
    let text = |offer: &'_ Offer| match offer {
        Offer::Text(text) | Offer::Ordered(_, text) => Some(text.clone()),
        Offer::Number(_) | Offer::Written(..) | Offer::Instant(_) | Offer::Band(_) => None,
    };
    match (a, b) {
        (Offer::Number(a), Offer::Number(b)) => Some(a.cmp(b)),
        (Offer::Written(a, _) | Offer::Instant(a), Offer::Written(b, _) | Offer::Instant(b)) => Some(a.cmp(b)),
        (Offer::Band(a), Offer::Band(b)) => Some(a.cmp(b)),
        _ => Some(text(a)?.reveal().cmp(text(b)?.reveal())),
    }
}

fn offer(scalar: &Scalar, form: Form, pick: Pick, zone: &Zone) -> Option<Offer> {
    let whole = |plain: String| Offer::Text(Phi::new(plain.into()));
    let part = |part: String, plain: String| match pick {
        Pick::First => whole(part),
        Pick::Latest => Offer::Ordered(Phi::new(part.into()), Phi::new(plain.into())),
    };
    Some(match (form, scalar) {
        (Form::AsIs, Scalar::Moment(moment)) => Offer::Written(moment.earliest(zone), Phi::new(moment.written().into())),
        (Form::AsIs, Scalar::Integer(n)) => Offer::Number(Decimal::from(*n)),
        (Form::AsIs, Scalar::Decimal(n)) => Offer::Number(*n),
        (Form::AsIs, _) => whole(text_of(scalar)?),
        (Form::Month | Form::Year, Scalar::Moment(moment)) if form == Form::Year || moment.precision >= Precision::Month => {
            let at = moment.earliest(zone);
            // Beyond the calendar's ends there is no month to show.
            zone.local(at)?;
            Offer::Instant(at)
        }
        (Form::Month | Form::Year, _) => return None,
        (Form::Zip3, _) => {
            let plain = text_of(scalar)?;
            part(zip3(&plain)?, plain)
        }
        (Form::Hash, _) => {
            let plain = text_of(scalar)?;
            part(digest(&plain), plain)
        }
        (Form::AgeBand, _) => return None,
    })
}

impl Offer {
    /// What is shown of it.
    pub fn text(&self, form: Form, zone: &Zone) -> Phi<String> {
        Phi::new(match self {
            Offer::Text(text) | Offer::Ordered(text, _) | Offer::Written(_, text) => text.reveal().to_string(),
            Offer::Number(number) => number.to_string(),
            Offer::Instant(at) => {
                // Made of a date within the calendar.
                let day = zone.local(*at).map(jiff::civil::DateTime::date);
                day.map_or(String::new(), |day| match form {
                    Form::Year => day.strftime("%Y").to_string(),
                    Form::AsIs | Form::Month | Form::AgeBand | Form::Zip3 | Form::Hash => day.strftime("%Y-%m").to_string(),
                })
            }
            Offer::Band(9) => "90+".to_owned(),
            Offer::Band(band) => format!("{}-{}", band * 10, band * 10 + 9),
        })
    }
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

/// Ten-year bands up to 80-89, then 90+. A partial birth date has a band only while all days it allows share it.
fn age_bands(birth: &Moment, zone: &Zone) -> Steps<Option<Offer>> {
    let first = birth.local.date();
    let last = birth.last_day().unwrap_or(first);
    let (oldest, youngest) = (bands_of(first, zone), bands_of(last, zone));
    oldest.zip(&youngest, |a, b| {
        let band = a.filter(|_| a == b)?;
        Some(Offer::Band(band))
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
