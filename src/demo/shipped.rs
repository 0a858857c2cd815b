//! The mappings that the program ships with, so that the demonstration runs from any folder.
//!
//! In: `mappings/`, when the program is built. Out: names and texts.
//! Never here: a file of `mappings/` left out; a test compares the list with the folder.

macro_rules! shipped {
    ($($file:literal)*) => { &[$(($file, include_str!(concat!("../../mappings/", $file)))),*] };
}

/// Paths relative to `mappings/`, sorted, with their texts.
pub const MAPPINGS: &[(&str, &str)] = shipped! {
    "audiences/annual-wellness-visit-due.test.yaml"
    "audiences/annual-wellness-visit-due.yaml"
    "audiences/care-plan-activity-overdue.test.yaml"
    "audiences/care-plan-activity-overdue.yaml"
    "audiences/influenza-vaccine-this-season.test.yaml"
    "audiences/influenza-vaccine-this-season.yaml"
    "audiences/joint-pain-seminar.test.yaml"
    "audiences/joint-pain-seminar.yaml"
    "audiences/mammogram-due.test.yaml"
    "audiences/mammogram-due.yaml"
    "audiences/medication-refill-overdue.test.yaml"
    "audiences/medication-refill-overdue.yaml"
    "audiences/missed-appointment-to-rebook.test.yaml"
    "audiences/missed-appointment-to-rebook.yaml"
    "audiences/portal-invitation-after-first-visit.test.yaml"
    "audiences/portal-invitation-after-first-visit.yaml"
    "policy.yaml"
    "valuesets/bloodpressure.json"
    "valuesets/cholesterol.json"
    "valuesets/diabetes.json"
    "valuesets/influenza.json"
    "valuesets/jointpain.json"
    "valuesets/jointreplacement.json"
    "valuesets/mammography.json"
    "valuesets/mastectomy.json"
    "valuesets/painrelief.json"
    "valuesets/painscore.json"
    "valuesets/sensitive-hiv.json"
    "valuesets/sensitive-mental-health.json"
    "valuesets/sensitive-reproductive.json"
    "valuesets/sensitive-sexual-health.json"
    "valuesets/sensitive-substance-use.json"
    "valuesets/sensitive-violence.json"
    "valuesets/wellness.json"
};

#[cfg(test)]
mod tests {
    use super::MAPPINGS;
    use std::path::Path;

    #[test]
    fn the_list_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let mut found = Vec::new();
        let mut open = vec![folder.clone()];
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(next).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let name = path.strip_prefix(&folder).expect("within the folder").to_string_lossy().replace('\\', "/");
                found.push((name, std::fs::read_to_string(&path).expect("a text")));
            }
        }
        found.sort();
        let listed: Vec<(String, String)> = MAPPINGS.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(listed, found);
    }
}
