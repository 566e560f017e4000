import math

import jsonschema
import pytest

from gateway_eval.emulator import models, tools
from gateway_eval.emulator.embeddings import vector


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_vectors_have_the_length_one_and_the_number_of_dimensions():
    numbers = vector("The cat sat on the mat", 256)
    assert len(numbers) == 256
    assert math.isclose(cosine(numbers, numbers), 1, abs_tol=1e-5)


def test_texts_that_share_words_are_near_each_other():
    cat = vector("a cat sat on the mat", 1536)
    other_cat = vector("the cat sat on a mat today", 1536)
    bond = vector("bond yields fell in early trading", 1536)
    assert cosine(cat, other_cat) > 0.7
    assert abs(cosine(cat, bond)) < 0.2


@pytest.mark.parametrize("text", ["", "!?", "😀", "\ud800"])
def test_any_text_has_a_vector(text):
    assert len(vector(text, 8)) == 8


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
        {
            "type": "object",
            "properties": {"unit": {"enum": ["celsius", "fahrenheit"]}, "deep": {"type": "boolean"}},
        },
        {"type": "array", "items": {"type": "number", "minimum": 3}, "minItems": 2},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"type": ["null", "string"]},
        {"const": "fixed"},
    ],
)
def test_an_example_fits_its_schema(schema):
    jsonschema.validate(tools.example(schema, "text"), schema)


def test_a_schema_without_end_is_cut_off():
    schema = {"type": "object", "properties": {}}
    schema["properties"]["child"] = schema
    assert tools.example(schema)


def test_an_alias_is_answered_with_its_snapshot():
    assert models.snapshot("gpt-4o") == "gpt-4o-2024-08-06"
    assert models.snapshot("gpt-3.5-turbo") == "gpt-3.5-turbo-0125"
    assert models.snapshot("my-own-model") == "my-own-model"
