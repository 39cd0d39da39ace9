"""Values and rules: margins, invoices, and the one transaction that issues them."""
