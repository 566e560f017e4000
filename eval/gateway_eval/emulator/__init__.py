"""A provider to test against: OpenAI, Azure OpenAI, Anthropic and Gemini, answered from memory.

Every answer is a function of the request alone, so the same call always costs the same tokens, and what was
served is counted apart from everything that is under test.
"""
