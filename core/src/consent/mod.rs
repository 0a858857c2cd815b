//! stub
use crate::time::*; use crate::timeline::*; use crate::fhir::Unreadable; use smallvec::SmallVec; use sonic_rs::Value;
use serde::{Serialize,Deserialize}; use std::collections::BTreeMap;
#[derive(Clone,PartialEq,Serialize,Deserialize)] pub struct Consent{}
impl Consent{ pub fn unreadable()->Consent{Consent{}} }
pub fn read(_:&Value,_:&Zone)->Result<Consent,Unreadable>{Ok(Consent{})}
#[derive(Clone,Default,PartialEq,Serialize,Deserialize)] pub struct Labels{}
impl Labels{pub fn read(_:&Value)->Result<Labels,Unreadable>{Ok(Labels{})} pub fn is_empty(&self)->bool{true}}
#[derive(Clone,Default,PartialEq)] pub struct Redact{} impl Redact{pub fn is_empty(&self)->bool{true} pub fn covers(&self,_:&Labels)->bool{false}}
#[derive(Clone,Copy,PartialEq)] pub enum Outcome{Permit,Deny,NoConsent}
#[derive(Clone,PartialEq)] pub struct Decision{pub outcome:Outcome,pub redact:Redact,pub authorized:bool,pub written:bool,pub basis:SmallVec<[u16;2]>}
#[derive(Clone,Copy,PartialEq)] pub enum Basis{NoDenial,Authorization}
#[derive(Clone,Copy,PartialEq)] pub enum Cause{Denied,Revoked,Expired,NoConsent,Unreadable}
pub fn granted(d:&Steps<Decision>,_:Basis)->Steps<Option<Cause>>{d.map(|_|None)}
#[derive(Clone,Copy,PartialEq,Eq)] pub struct Purpose(u8); impl Purpose{pub const TREAT:Purpose=Purpose(0);pub const HOPERAT:Purpose=Purpose(1);pub const HMARKT:Purpose=Purpose(2);}
pub struct Question<'a>{pub recipient:&'a Recipient,pub organisation:&'a Organisation,pub purpose:Purpose}
pub fn decide(_:&[&Consent],_:&Question,_:&Policy)->Steps<Decision>{Steps::always(Decision{outcome:Outcome::NoConsent,redact:Redact{},authorized:false,written:false,basis:SmallVec::new()})}
pub fn withheld_by_policy(_:&Labels,_:&Policy)->bool{false}
pub fn restricts_more(_:&Consent,_:&Consent,_:&Recipient,_:&Policy,_:Instant)->bool{false}
pub struct Organisation{pub name:String,pub zone:Zone}
pub enum Identify{Pseudonym,Identifier{system:String}}
pub struct MayKnow{pub deceased:bool,pub merged:bool}
pub struct Recipient{pub key:String,pub identify:Identify,pub may_know:MayKnow}
pub struct Bases{pub treatment:Basis,pub operations:Basis,pub marketing:Basis}
#[derive(PartialEq)] pub enum Permission{ContactOnFile,Permit,WrittenPermit}
pub struct ChannelRule{pub permission:Permission,pub hours:Option<(jiff::civil::Time,jiff::civil::Time)>}
#[derive(PartialEq)] pub enum Unresolved{Withhold,Ignore}
pub struct Sensitive{pub valuesets:Vec<String>,pub unresolved:Unresolved}
pub struct Minors{pub majority:u8,pub by_state:BTreeMap<String,u8>}
pub struct Policy{pub organisation:Organisation,pub recipients:Vec<Recipient>,pub bases:Bases,pub sensitive:Sensitive,pub minors:Minors,pub lease:Span,pub email:ChannelRule}
impl Policy{pub fn channel(&self,_:Ch)->&ChannelRule{&self.email}}
pub use Ch as ChStub; #[derive(Clone,Copy)] pub enum Ch{Email,Sms}
