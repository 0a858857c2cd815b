pub fn run(_: &str, _: &[Vec<u8>], _: u16) {}
