"""The address of a host, and which endpoint is called on it."""

import pytest

from gateway_eval.target import Api, Endpoint, Target, parse_base_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://10.3.49.202:5000", "http://10.3.49.202:5000"),
        ("http://10.3.49.202:5000/", "http://10.3.49.202:5000"),
        ("https://gateway.example/v1/", "https://gateway.example"),
        ("https://gateway.example/llm", "https://gateway.example/llm"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_address(text: str, expected: str) -> None:
    assert parse_base_url(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.3.49.202:5000", "http://10.3.49.202:5000"),
        ("ftp://host", "an example"),
        ("http://", "an example"),
        ("http://host:99999", "an example"),
        ("http://host:x", "an example"),
        ("http://a b", "an example"),
        ("http://me:s3cret@host", "--api-key-env"),
        ("me:s3cret@host", "http://host"),
        ("http://host?api_key=s3cret", "--api-key-env"),
    ],
)
def test_wrong_address_is_refused_without_repeating_a_secret(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        parse_base_url(text)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def mlflow(*endpoints: Endpoint) -> Target:
    return Target("http://gateway", Api.MLFLOW, endpoints)


def openai(*names: str) -> Target:
    return Target("http://gateway", Api.OPENAI, tuple(Endpoint(name) for name in names))


def test_chat_is_called_if_listed_else_the_first_for_chat() -> None:
    embeddings, fast, chat = Endpoint("e", "embeddings"), Endpoint("fast", "chat"), Endpoint("chat", "chat")
    assert mlflow(embeddings, fast, chat).default_endpoint() is chat
    assert mlflow(embeddings, fast).default_endpoint() is fast
    with pytest.raises(ValueError, match="--endpoint"):
        mlflow(embeddings).default_endpoint()


def test_a_model_is_not_picked_at_random_where_the_list_does_not_say_what_it_costs() -> None:
    assert openai("text-embedding-3-small", "gpt-4o").default_endpoint().name == "gpt-4o"
    assert openai("gpt-4o", "chat").default_endpoint().name == "chat"
    with pytest.raises(ValueError, match="gpt-4o, o1-pro"):
        openai("gpt-4o", "o1-pro").default_endpoint()


def test_name_that_is_not_listed_may_be_a_route_of_mlflow() -> None:
    assert mlflow(Endpoint("chat", "chat")).endpoint("route") == Endpoint("route")


def test_endpoint_for_something_else_than_chat_is_refused() -> None:
    with pytest.raises(ValueError, match=r"for embeddings.*chat"):
        mlflow(Endpoint("e", "embeddings"), Endpoint("chat", "chat")).endpoint("e")


def test_names_are_quoted_in_paths() -> None:
    assert mlflow().chat_path(Endpoint("a/b c")) == "/gateway/a%2Fb%20c/invocations"
