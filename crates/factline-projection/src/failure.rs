//! Which failure is whose business: the database's table, and what other crates have judged.
//!
//! Infrastructure never parks anything: only [`Class::Poison`] does.

use factline_core::Fault;
pub use factline_log::{Class, class_of};

/// The class of a fault that another crate has already judged.
#[must_use]
pub fn class_of_fault(fault: &Fault) -> Class {
    match fault {
        Fault::Transient { .. } => Class::Transient,
        Fault::Poison { .. } => Class::Poison,
        Fault::Fatal { .. } => Class::Config,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_verdicts_are_taken_over() {
        assert_eq!(class_of_fault(&Fault::transient("asking", "503")), Class::Transient);
        assert_eq!(class_of_fault(&Fault::fatal("asking", "401")), Class::Config);
        assert_eq!(class_of_fault(&Fault::poison("reading", "no Avro")), Class::Poison);
    }
}
