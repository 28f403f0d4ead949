//! Why bytes are not an event, or an event not bytes.

/// Each variant has a stable [`code`](CodecFault::code): it stands on dead letters, and operators
/// group by it.
#[derive(Debug, thiserror::Error)]
pub enum CodecFault {
    /// Fewer than the five bytes of the wire format, or a first byte that is not 0.
    #[error("the value does not start with the five bytes of the registry's wire format")]
    BadMagic,
    /// A datum above [`MAX_DATUM_BYTES`](crate::MAX_DATUM_BYTES).
    #[error("the datum has {bytes} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The schema is not Avro, not a record, recursive, or could expand without bound.
    #[error("the schema is not admissible: {0}")]
    InadmissibleSchema(String),
    /// Two versions of one record cannot read each other's data.
    #[error("the versions are not compatible: {0}")]
    Incompatible(String),
    /// A record of another name than any event that is known here.
    #[error("no event is called {0}")]
    ForeignSchema(String),
    /// The bytes end early, a length or index is out of range, or text is not UTF-8.
    #[error("the datum does not match its schema: {0}")]
    DataMismatch(String),
    /// Bytes are left over after the datum.
    #[error("{0} bytes follow the datum")]
    TrailingBytes(usize),
}

impl CodecFault {
    /// Stable, in `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadMagic => "bad_magic",
            Self::TooLarge { .. } => "too_large",
            Self::InadmissibleSchema(_) => "inadmissible_schema",
            Self::Incompatible(_) => "incompatible_schema",
            Self::ForeignSchema(_) => "foreign_schema",
            Self::DataMismatch(_) => "data_mismatch",
            Self::TrailingBytes(_) => "trailing_bytes",
        }
    }
}
