"""Both providers as one local HTTP server over a seeded world: for the demo, for tests and for load tests.

| file | holds |
|---|---|
| world, tenants, organizations, router_account | who exists: tenants, organizations, projects, keys |
| catalog, meters, restatement | what things cost, how much is used when, how figures change after the day |
| openai_spend, router_spend | the rows of one day, the truth tests compare with |
| openai_*, openrouter_* | the two HTTP contracts over that truth |
| faults, control, app, server | failures on request, the clock, the ASGI application, the background server |
"""
