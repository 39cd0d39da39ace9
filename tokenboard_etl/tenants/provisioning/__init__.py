"""A tenant's project and keys at the providers, made once however often it takes: a saga without Dagster.

orders.py       what a tenant is to have at each provider, and whether it has it (registry.provisioning, registry.keys)
means.py        this machine's records and vault
exchange.py     talks to one provider account; waits where waiting helps
saga.py         one change at a provider: on record before, on record after, looked into when its end is unknown
openai.py       project, service account with its key, spend limit, alerts
openrouter.py   key with its limit
run.py          what is pending for a tenant, provider by provider; what fails stays pending with the reason
ending.py       suspended for now, offboarded for good
last_reading.py what a provider says one last time before an account is closed
standing.py     active, suspended or offboarded, and which accounts that is about
registering.py  new tenants, from the command line or a file, and what would be made for them
"""
