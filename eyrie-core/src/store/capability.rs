//! What a store can do beyond what every store does.

/// What a store can do beyond what every store does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// It carries out the statements of transactional steps, in the transaction that records their end.
    pub statements: bool,
}

impl Capabilities {
    /// Of a store that carries out statements.
    #[must_use]
    pub fn with_statements(self) -> Self {
        Self { statements: true, ..self }
    }
}
