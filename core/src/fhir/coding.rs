//! Codes as they stand in a resource, without a tree.
//!
//! In: the bytes of one element. Out: system and code of each code and Coding in it, however deep.
//! Never here: what a code means.

use super::json::Unreadable;
use super::scan::Scan;
use std::borrow::Cow;

/// Calls `found` with each code, be the element a code, Coding, CodeableConcept, CodeableReference or a list of parts. Keys that stand twice count each time.
///
/// # Errors
/// Where the bytes are no JSON.
pub fn each_code(element: &[u8], found: &mut impl FnMut(Option<&str>, &str)) -> Result<(), Unreadable> {
    value(&mut Scan::new(element), found)
}

fn value(scan: &mut Scan, found: &mut impl FnMut(Option<&str>, &str)) -> Result<(), Unreadable> {
    match scan.ahead()? {
        b'"' => {
            if let Some(code) = scan.text()? {
                found(None, &code);
            }
            Ok(())
        }
        b'[' => {
            scan.enter(b'[')?;
            while scan.item()? {
                value(scan, found)?;
            }
            Ok(())
        }
        b'{' => object(scan, found),
        _ => scan.skip().map(|_| ()),
    }
}

fn object(scan: &mut Scan, found: &mut impl FnMut(Option<&str>, &str)) -> Result<(), Unreadable> {
    let (mut system, mut code): (Option<Cow<str>>, Option<Cow<str>>) = (None, None);
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        match key {
            b"system" if scan.ahead()? == b'"' => system = scan.text()?,
            b"code" if scan.ahead()? == b'"' => code = scan.text()?,
            _ if matches!(scan.ahead()?, b'[' | b'{') => value(scan, found)?,
            _ => {
                scan.skip()?;
            }
        }
    }
    if let Some(code) = code {
        found(system.as_deref(), &code);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::each_code;

    #[test]
    fn codes_are_found_in_every_form() {
        for (text, expected) in [
            (r#""final""#, vec![(None, "final")]),
            (r#"{"system":"s","code":"1"}"#, vec![(Some("s"), "1")]),
            (r#"{"coding":[{"code":"1","system":"s","display":"a \\" b"},{"code":"2"}],"text":"t"}"#, vec![(Some("s"), "1"), (None, "2")]),
            (r#"[{"coding":[{"system":"s","code":"1"}]},{"text":"x"}]"#, vec![(Some("s"), "1")]),
            (r#"{"concept":{"coding":[{"code":"1"}]},"reference":{"reference":"Condition/1"}}"#, vec![(None, "1")]),
            (r#"{"coding":{"code":7}}"#, vec![]),
            ("17", vec![]),
        ] {
            let mut codes = Vec::new();
            each_code(text.as_bytes(), &mut |system, code| codes.push((system.map(str::to_owned), code.to_owned()))).expect(text);
            let expected: Vec<_> =
                expected.into_iter().map(|(system, code): (Option<&str>, &str)| (system.map(str::to_owned), code.to_owned())).collect();
            assert_eq!(codes, expected, "{text}");
        }
        assert!(each_code(br#"{"coding":[{"#, &mut |_, _| ()).is_err());
    }
}
