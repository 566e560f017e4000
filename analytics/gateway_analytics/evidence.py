"""What a cost rests on."""

# Surest first: the provider's own figure, token counts, what was seen of a stream that was cut.
EVIDENCE = ("provider_stated_usd", "computed_usd", "partial_usd")
