//! What a customer answers to each command: the events it causes, none when nothing would change,
//! or a refusal.

use factline_core::{Decide, Moment};

use super::{
    ChangeCustomer, Customer, CustomerEmailChanged, CustomerEvent, CustomerRefusal,
    CustomerRegistered, CustomerRenamed, RegisterCustomer,
};

type Decision = Result<Vec<CustomerEvent>, CustomerRefusal>;

impl Decide<RegisterCustomer> for Customer {
    fn decide(&self, command: &RegisterCustomer, _at: Moment) -> Decision {
        if self.known().is_some() {
            return Err(CustomerRefusal::CustomerExists);
        }
        let (name, email) = (command.name.clone().into(), command.email.clone().into());
        Ok(vec![CustomerRegistered { name, email }.into()])
    }
}

impl Decide<ChangeCustomer> for Customer {
    fn decide(&self, command: &ChangeCustomer, _at: Moment) -> Decision {
        let customer = self.known().ok_or(CustomerRefusal::UnknownCustomer)?;
        let mut events = Vec::new();
        if let Some(name) = command.name.clone().map(String::from)
            && name != customer.name
        {
            events.push(CustomerRenamed { name }.into());
        }
        if let Some(email) = command.email.clone().map(String::from)
            && email != customer.email
        {
            events.push(CustomerEmailChanged { email }.into());
        }
        Ok(events)
    }
}
