//! Ground: instants, zones, FHIR's partial dates, calendar periods.
//!
//! In: texts of FHIR and of mappings. Out: instants in microseconds, and intervals of them.
//! Never here: the clock. `now` is always an argument.

mod instant;
mod moment;
mod period;
mod span_text;
mod zone;

pub use instant::{BadInstant, Instant, Span};
pub use moment::{BadMoment, Moment, Precision};
pub use period::Period;
pub use span_text::parse_span;
pub use zone::{UnknownZone, Zone};
