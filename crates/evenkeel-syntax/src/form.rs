//! Forms: what a directive may look like, as data. One table of forms gives the reader of a block, its
//! "did you mean", the JSON model's field names, the schema and the page of the reference.
//!
//! A form knows the shape of its words (a duration, an address), never what they are for.

/// What one directive may look like: `head names… key value…  { block }`.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The fixed words it begins with: `server`, `expect status`. Several forms may share a head; the first whose
    /// names fit is taken.
    pub head: &'static str,
    /// Words by position, directly after the head.
    pub names: &'static [Slot],
    /// `key value` pairs, in any order, after the names; a list of groups, so that forms can share some.
    pub keys: &'static [&'static [Slot]],
    /// What may stand in its block, in groups likewise; `None`: it has no block.
    pub block: Option<&'static [&'static [Form]]>,
    /// How often it may stand in one block.
    pub count: Count,
    /// One or two sentences for the reference.
    pub doc: &'static str,
}

/// How often a directive may stand in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Exactly once.
    One,
    /// At most once.
    Maybe,
    /// Once at least; a directive whose head is its plural will do as well: `servers` for `server`.
    Some,
    /// As often as one likes; the order among those of one head is kept.
    Any,
    /// As often as one likes; the order among all steps of a block is kept, as in a conversation: `send`, `expect`.
    Step,
}

/// One word, or one key with its value.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// A key's own word; a name's name in the reference and in the JSON model.
    pub name: &'static str,
    /// What the word must look like.
    pub shape: Shape,
    /// Whether it may be left out. (Keys may always be.)
    pub optional: bool,
    /// What holds when it is left out, as one would write it; for the reference.
    pub default: Option<&'static str>,
    /// One sentence for the reference.
    pub doc: &'static str,
}

/// What a word must look like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Exactly this word, which carries no value: `fails` in `down after 3 fails`. A plural `s` may be missing.
    Literal(&'static str),
    /// A key without a value: `defer`.
    Flag,
    /// Any word.
    Text,
    /// Any word that is not a key of this form: a name.
    Name,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number within bounds.
    Number {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// `200ms`, `5s`, `1m30s`: us ms s m h d. Read as nanoseconds.
    Time,
    /// `64KiB`, `1MiB`, `512B`. Read as bytes.
    Size,
    /// `50%`, 0 to 100. Read as a whole number.
    Percent,
    /// `10.0.0.1:80`, `[::1]:80`, `name:80`, `*:80`, `unix:/run/x.sock`.
    Address,
    /// `/…`, or for a file also a relative path.
    Path,
    /// All the words that follow, one at least.
    Rest,
}
