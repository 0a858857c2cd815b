//! States and territories of the United States: the code for a name.
//!
//! In: `address.state` as someone wrote it. Out: the USPS code, or the text in upper case.
//! Never here: a guess from a ZIP code.

const NAMES: [(&str, &str); 56] = [
    ("ALABAMA", "AL"),
    ("ALASKA", "AK"),
    ("AMERICAN SAMOA", "AS"),
    ("ARIZONA", "AZ"),
    ("ARKANSAS", "AR"),
    ("CALIFORNIA", "CA"),
    ("COLORADO", "CO"),
    ("CONNECTICUT", "CT"),
    ("DELAWARE", "DE"),
    ("DISTRICT OF COLUMBIA", "DC"),
    ("FLORIDA", "FL"),
    ("GEORGIA", "GA"),
    ("GUAM", "GU"),
    ("HAWAII", "HI"),
    ("IDAHO", "ID"),
    ("ILLINOIS", "IL"),
    ("INDIANA", "IN"),
    ("IOWA", "IA"),
    ("KANSAS", "KS"),
    ("KENTUCKY", "KY"),
    ("LOUISIANA", "LA"),
    ("MAINE", "ME"),
    ("MARYLAND", "MD"),
    ("MASSACHUSETTS", "MA"),
    ("MICHIGAN", "MI"),
    ("MINNESOTA", "MN"),
    ("MISSISSIPPI", "MS"),
    ("MISSOURI", "MO"),
    ("MONTANA", "MT"),
    ("NEBRASKA", "NE"),
    ("NEVADA", "NV"),
    ("NEW HAMPSHIRE", "NH"),
    ("NEW JERSEY", "NJ"),
    ("NEW MEXICO", "NM"),
    ("NEW YORK", "NY"),
    ("NORTH CAROLINA", "NC"),
    ("NORTH DAKOTA", "ND"),
    ("NORTHERN MARIANA ISLANDS", "MP"),
    ("OHIO", "OH"),
    ("OKLAHOMA", "OK"),
    ("OREGON", "OR"),
    ("PENNSYLVANIA", "PA"),
    ("PUERTO RICO", "PR"),
    ("RHODE ISLAND", "RI"),
    ("SOUTH CAROLINA", "SC"),
    ("SOUTH DAKOTA", "SD"),
    ("TENNESSEE", "TN"),
    ("TEXAS", "TX"),
    ("U.S. VIRGIN ISLANDS", "VI"),
    ("UTAH", "UT"),
    ("VERMONT", "VT"),
    ("VIRGINIA", "VA"),
    ("WASHINGTON", "WA"),
    ("WEST VIRGINIA", "WV"),
    ("WISCONSIN", "WI"),
    ("WYOMING", "WY"),
];

/// `Alabama`, `al` and `US-AL` are `AL`.
pub fn state_code(text: &str) -> String {
    let upper = text.trim().to_uppercase();
    let upper = upper.strip_prefix("US-").unwrap_or(&upper);
    match NAMES.iter().find(|(name, _)| *name == upper) {
        Some((_, code)) => (*code).to_owned(),
        None => upper.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::state_code;

    #[test]
    fn names_codes_and_iso_codes_agree() {
        for (text, code) in [("Alabama", "AL"), (" al ", "AL"), ("US-AL", "AL"), ("new york", "NY"), ("Ontario", "ONTARIO"), ("", "")] {
            assert_eq!(state_code(text), code);
        }
    }
}
