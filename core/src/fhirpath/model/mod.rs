//! R4's types: which elements each has, of which types, and how often.
//!
//! In: `r4.txt`, made by `make.mjs` from public definitions. Out: a table, read once.
//! Never here: resources.

use std::collections::HashMap;
use std::sync::LazyLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(u16);

/// What values of a type are, for comparisons and for reading JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Boolean,
    Text,
    Integer,
    Decimal,
    Date,
    DateTime,
    Instant,
    Time,
    Quantity,
    Coding,
    /// CodeableConcept
    Concept,
    /// Any other that has parts.
    Complex,
}

impl Class {
    pub fn has_parts(self) -> bool {
        matches!(self, Class::Quantity | Class::Coding | Class::Concept | Class::Complex)
    }
}

#[derive(Debug)]
pub struct Type {
    /// `Patient`, `Patient.contact`, `dateTime`; of FHIRPath's own types `System.Boolean` …
    pub name: &'static str,
    pub parent: Option<TypeId>,
    pub class: Class,
    elements: Vec<Element>,
}

#[derive(Debug)]
pub struct Element {
    pub name: &'static str,
    pub many: bool,
    /// One for an element of one type.
    pub options: Vec<Choice>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The key in JSON: `performedDateTime`.
    pub key: &'static str,
    pub kind: TypeId,
    /// Where it is a Reference: the types that it may lead to; empty: any.
    pub targets: Vec<&'static str>,
}

pub struct Model {
    types: Vec<Type>,
    by_name: HashMap<&'static str, TypeId>,
}

pub static R4: LazyLock<Model> = LazyLock::new(|| Model::read(include_str!("r4.txt")));

const SYSTEM: [(&str, Class); 8] = [
    ("System.Boolean", Class::Boolean),
    ("System.String", Class::Text),
    ("System.Integer", Class::Integer),
    ("System.Decimal", Class::Decimal),
    ("System.Date", Class::Date),
    ("System.DateTime", Class::DateTime),
    ("System.Time", Class::Time),
    ("System.Quantity", Class::Quantity),
];

impl TypeId {
    pub const BOOLEAN: TypeId = TypeId(0);
    pub const STRING: TypeId = TypeId(1);
    pub const INTEGER: TypeId = TypeId(2);
    pub const DECIMAL: TypeId = TypeId(3);
    pub const DATE: TypeId = TypeId(4);
    pub const DATE_TIME: TypeId = TypeId(5);
    pub const TIME: TypeId = TypeId(6);
    pub const QUANTITY: TypeId = TypeId(7);

    pub fn get(self) -> &'static Type {
        &R4.types[usize::from(self.0)]
    }

    pub fn name(self) -> &'static str {
        self.get().name
    }

    pub fn class(self) -> Class {
        self.get().class
    }

    /// Itself or one of the types that it is derived from.
    pub fn is_a(self, other: TypeId) -> bool {
        let mut at = Some(self);
        while let Some(here) = at {
            if here == other {
                return true;
            }
            at = here.get().parent;
        }
        false
    }

    /// Whether `ofType()` keeps it: a primitive is of its own type only (a code is no string), anything else of those above it too.
    pub fn narrows_to(self, other: TypeId) -> bool {
        self == other || (self.class().has_parts() && self.is_a(other))
    }

    pub fn is_resource(self) -> bool {
        R4.named("Resource").is_some_and(|resource| self.is_a(resource))
    }

    pub fn is_reference(self) -> bool {
        self.name() == "Reference"
    }

    pub fn element(self, name: &str) -> Option<&'static Element> {
        let mut at = Some(self);
        while let Some(here) = at {
            if let Some(element) = here.get().elements.iter().find(|element| element.name == name) {
                return Some(element);
            }
            at = here.get().parent;
        }
        None
    }

    /// All names that may follow a dot, with those inherited.
    pub fn element_names(self) -> Vec<&'static str> {
        let mut out = Vec::new();
        let mut at = Some(self);
        while let Some(here) = at {
            out.extend(here.get().elements.iter().map(|element| element.name));
            at = here.get().parent;
        }
        out
    }
}

impl Model {
    pub fn named(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// One of FHIRPath's own types: `Boolean`, `String` …
    pub fn system(&self, name: &str) -> Option<TypeId> {
        SYSTEM.iter().position(|(own, _)| own.strip_prefix("System.") == Some(name)).map(id)
    }

    /// The names that may stand after `is` or in `ofType()`.
    pub fn type_names(&self) -> impl Iterator<Item = &'static str> {
        self.types.iter().skip(SYSTEM.len()).map(|kind| kind.name).filter(|name| !name.contains('.'))
    }

    fn read(text: &'static str) -> Model {
        let lines: Vec<&'static str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let mut types: Vec<Type> =
            SYSTEM.iter().map(|(name, class)| Type { name, parent: None, class: *class, elements: Vec::new() }).collect();
        let mut by_name: HashMap<&'static str, TypeId> = HashMap::new();
        let head = |line: &'static str| line.split_once(' ').map_or(line, |(head, _)| head).split_once('<').unwrap_or((line, ""));
        for line in &lines {
            by_name.insert(head(line).0, id(types.len()));
            types.push(Type { name: head(line).0, parent: None, class: class(head(line).0), elements: Vec::new() });
        }
        for (number, line) in lines.iter().enumerate() {
            let number = SYSTEM.len() + number;
            types[number].parent = by_name.get(head(line).1).copied();
            // A primitive's `value` is the primitive itself in FHIRPath.
            if types[number].class.has_parts() {
                types[number].elements = line.split(' ').skip(1).filter_map(|field| element(field, &by_name)).collect();
            }
        }
        // Age, Duration and others are quantities.
        for number in 0..types.len() {
            let mut at = types[number].parent;
            while let Some(parent) = at {
                if types[usize::from(parent.0)].name == "Quantity" {
                    types[number].class = Class::Quantity;
                }
                at = types[usize::from(parent.0)].parent;
            }
        }
        Model { types, by_name }
    }
}

fn id(number: usize) -> TypeId {
    TypeId(u16::try_from(number).expect("R4 has some hundred types"))
}

fn class(name: &str) -> Class {
    match name {
        "boolean" => Class::Boolean,
        "integer" | "unsignedInt" | "positiveInt" => Class::Integer,
        "decimal" => Class::Decimal,
        "date" => Class::Date,
        "dateTime" => Class::DateTime,
        "instant" => Class::Instant,
        "time" => Class::Time,
        "Quantity" => Class::Quantity,
        "Coding" => Class::Coding,
        "CodeableConcept" => Class::Concept,
        _ if name.starts_with(|c: char| c.is_ascii_lowercase()) => Class::Text,
        _ => Class::Complex,
    }
}

/// `name:Type`, `name:Type*`, `name[x]:A|B`. `None`: a type of the table itself is missing, which a test excludes.
fn element(field: &'static str, by_name: &HashMap<&'static str, TypeId>) -> Option<Element> {
    let (name, types) = field.split_once(':')?;
    let many = types.ends_with('*');
    let types = types.trim_end_matches('*');
    let base = name.strip_suffix("[x]");
    let options = types.split('|').map(|written| {
        let (kind, targets) = match written.split_once('(') {
            Some((kind, targets)) => {
                (kind, targets.trim_end_matches(')').split('/').filter(|t| !t.is_empty() && *t != "Resource").collect())
            }
            None => (written, Vec::new()),
        };
        let key = match base {
            Some(base) => {
                let (first, rest) = kind.split_at(1);
                // The table lives as long as the program.
                format!("{base}{}{rest}", first.to_ascii_uppercase()).leak()
            }
            None => name,
        };
        Some(Choice { key, kind: *by_name.get(kind)?, targets })
    });
    Some(Element { name: base.unwrap_or(name), many, options: options.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_table_is_read() {
        let written: usize = include_str!("r4.txt")
            .lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with(|c: char| c.is_ascii_lowercase()))
            .map(|line| line.split(' ').count() - 1)
            .sum();
        let read: usize = R4.types.iter().map(|kind| kind.elements.len()).sum();
        assert_eq!(read, written);
        for (number, (name, _)) in SYSTEM.iter().enumerate() {
            assert_eq!(id(number).name(), *name);
        }
    }

    #[test]
    fn elements_are_found_with_their_types() {
        let procedure = R4.named("Procedure").expect("Procedure");
        let performed = procedure.element("performed").expect("performed");
        let keys: Vec<&str> = performed.options.iter().map(|option| option.key).collect();
        assert_eq!(keys, ["performedDateTime", "performedPeriod", "performedString", "performedAge", "performedRange"]);
        assert_eq!(performed.options[3].kind.class(), Class::Quantity);
        assert!(procedure.element("meta").is_some() && procedure.element("performedDateTime").is_none());
        assert!(procedure.element("reasonCode").is_some_and(|element| element.many));
        let location = procedure.element("location").expect("location");
        assert_eq!(location.options[0].targets, ["Location"]);
    }
}
