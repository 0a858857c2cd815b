//! Collections: paths, filters, slices, unions.

use super::Eval;
use super::truth::is;
use crate::fhirpath::compare;
use crate::fhirpath::element;
use crate::fhirpath::node::{Node, Slice};
use crate::fhirpath::value::{Collection, Content, Item, Stop};

impl<'a> Eval<'a> {
    /// Appends the items of `node`.
    pub fn collect(&self, node: &'a Node, this: &Item<'a>, out: &mut Collection<'a>) -> Result<(), Stop> {
        match node {
            Node::Empty => {}
            Node::Literal(literal) => out.push(literal.item()),
            Node::This => out.push(this.clone()),
            Node::Resource => out.push(self.root.clone()),
            Node::Element(input, step) => match &**input {
                // The first step of a path needs no collection of one.
                Node::This => children(this, step, out)?,
                input => {
                    for item in &self.items(input, this)? {
                        children(item, step, out)?;
                    }
                }
            },
            Node::Narrow(input, kind) => {
                for mut item in self.items(input, this)? {
                    if item.kind.narrows_to(*kind) || (item.kind.is_resource() && is(&item, *kind)?) {
                        if kind.is_a(item.kind) {
                            item.kind = *kind;
                        }
                        out.push(item);
                    }
                }
            }
            Node::Extension(input, url, kind) => {
                for item in &self.items(input, this)? {
                    let holder = match item.content {
                        Content::Complex(value) => Some(value),
                        _ => item.side,
                    };
                    if let Some(holder) = holder {
                        element::extensions(holder, url, *kind, out)?;
                    }
                }
            }
            Node::Where(input, criteria) => {
                for item in self.items(input, this)? {
                    if self.truth(criteria, &item)? == Some(true) {
                        out.push(item);
                    }
                }
            }
            Node::Select(input, projection) => {
                for item in &self.items(input, this)? {
                    self.collect(projection, item, out)?;
                }
            }
            Node::Slice(input, slice) => self.slice(input, *slice, this, out)?,
            Node::Union(a, b) => {
                let mut items = self.items(a, this)?;
                self.collect(b, this, &mut items)?;
                self.distinct(items, out)?;
            }
            Node::Combine(a, b) => {
                self.collect(a, this, out)?;
                self.collect(b, this, out)?;
            }
            Node::Distinct(input) => self.distinct(self.items(input, this)?, out)?,
            Node::Iif(condition, then, other) => match self.truth(condition, this)? {
                Some(true) => self.collect(then, this, out)?,
                Some(false) | None => self.collect(other, this, out)?,
            },
            Node::Count(input) => {
                let count = self.items(input, this)?.len();
                out.push(Item::integer(i64::try_from(count).map_err(|_| Stop::Undecided)?));
            }
            Node::Negate(_) | Node::Arithmetic(..) | Node::Concatenate(..) | Node::Text(..) | Node::Substring(..) => {
                out.extend(self.compute(node, this)?);
            }
            Node::ReferenceKey(input) => self.reference_keys(input, this, out)?,
            Node::And(..)
            | Node::Or(..)
            | Node::Xor(..)
            | Node::Implies(..)
            | Node::Not(..)
            | Node::Exists(..)
            | Node::IsEmpty(..)
            | Node::All(..)
            | Node::AllTrue(..)
            | Node::AnyTrue(..)
            | Node::HasValue(..)
            | Node::Equal(..)
            | Node::Equivalent(..)
            | Node::Order(..)
            | Node::In(..)
            | Node::Is(..)
            | Node::MemberOf(..)
            | Node::Match(..)
            | Node::Matches(..)
            | Node::Clock(..)
            | Node::LeadsTo(..)
            | Node::Remote(..) => out.extend(self.truth(node, this)?.map(Item::boolean)),
        }
        Ok(())
    }

    fn slice(&self, input: &'a Node, slice: Slice, this: &Item<'a>, out: &mut Collection<'a>) -> Result<(), Stop> {
        let mut items = self.items(input, this)?;
        let count = items.len();
        let (from, to) = match slice {
            Slice::At(number) => (number, number.saturating_add(1)),
            Slice::First => (0, 1),
            Slice::Last => (count.saturating_sub(1), count),
            Slice::Tail => (1, count),
            Slice::Skip(number) => (number, count),
            Slice::Take(number) => (0, number),
            Slice::Single if count > 1 => return Err(Stop::Undecided),
            Slice::Single => (0, 1),
        };
        let to = to.min(count);
        out.extend(items.drain(from.min(to)..to));
        Ok(())
    }

    fn distinct(&self, items: Collection<'a>, out: &mut Collection<'a>) -> Result<(), Stop> {
        let start = out.len();
        'items: for item in items {
            for kept in &out[start..] {
                if compare::equal(kept, &item, self.env.zone)? == Some(true) {
                    continue 'items;
                }
            }
            out.push(item);
        }
        Ok(())
    }
}

fn children<'a>(item: &Item<'a>, step: &element::Step, out: &mut Collection<'a>) -> Result<(), Stop> {
    match (&item.content, item.side) {
        (Content::Complex(value), _) => element::step(value, step, out)?,
        // The id and the extensions of a primitive.
        (_, Some(side)) => element::step(side, step, out)?,
        (_, None) => {}
    }
    Ok(())
}
