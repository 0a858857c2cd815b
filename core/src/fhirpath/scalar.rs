//! `Scalar`: a value that a path gives, out of its resource.

use crate::time::{Moment, Precision};
use std::fmt;

/// One value. It belongs to a patient: `Debug` prints its kind only.
#[derive(Clone, PartialEq)]
pub enum Scalar {
    Boolean(bool),
    /// string, code, uri, id, markdown, and every other type written as text.
    Text(String),
    Integer(i64),
    Decimal(rust_decimal::Decimal),
    /// date, dateTime, instant.
    Moment(Moment),
    Time(jiff::civil::Time, Precision),
    Quantity {
        value: rust_decimal::Decimal,
        unit: String,
    },
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scalar::Boolean(_) => "Boolean([phi])",
            Scalar::Text(_) => "Text([phi])",
            Scalar::Integer(_) => "Integer([phi])",
            Scalar::Decimal(_) => "Decimal([phi])",
            Scalar::Moment(_) => "Moment([phi])",
            Scalar::Time(..) => "Time([phi])",
            Scalar::Quantity { .. } => "Quantity([phi])",
        })
    }
}
