//! `Phi<T>`: a value that belongs to a patient.
//!
//! In: any value read from a resource. Out: the same value, on request, to code that needs it.
//! Never here: a way for it to be printed. `Debug` and `Display` write `[phi]`.

use std::fmt;

/// Protected health information. It prints as `[phi]`; whoever needs the value says so with [`Phi::reveal`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    pub const fn new(value: T) -> Self {
        Phi(value)
    }

    pub const fn reveal(&self) -> &T {
        &self.0
    }

    pub fn into_revealed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phi]")
    }
}

impl<T> fmt::Display for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phi]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_patient_never_prints() {
        let phone = Phi::new("+13125550100");
        assert_eq!(format!("{phone} {phone:?} {:?}", Some(phone)), "[phi] [phi] Some([phi])");
        assert_eq!(*phone.reveal(), "+13125550100");
    }
}
