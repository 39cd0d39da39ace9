"""What the sandbox's providers sell. Names follow what is seen live, prices of tokens the price book of late 2026."""

from __future__ import annotations

from dataclasses import dataclass

from tokenboard_etl.providers.sandbox.amounts import pico_per_unit

TOKEN_KINDS = (
    "input_text",
    "input_audio",
    "input_image",
    "cached_text",
    "cached_audio",
    "cache_write",
    "output_text",
    "output_audio",
)


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """One kind of token of one model. `line_item` is the free text the costs report writes."""

    kind: str
    line_item: str
    pico_usd: int
    per_request: int


@dataclass(frozen=True, slots=True)
class TextModel:
    """A model of the completions report; `name` is how usage spells it (costs write `ft-` for `ft:`)."""

    name: str
    prices: tuple[TokenPrice, ...]
    tiers: tuple[str, ...] = ("default",)
    batch: bool = False


def _text(
    name: str,
    usd_per_million: tuple[str, str, str],
    tokens: tuple[int, int, int],
    *,
    write: str = "",
    tiers: tuple[str, ...] = ("default",),
    batch: bool = False,
) -> TextModel:
    """Prices and tokens per request: input, cached input, output; `write` is the price of a cache write."""
    spelled = name.replace("ft:", "ft-").split(":")[0]
    kinds = [
        ("input_text", "input", usd_per_million[0], tokens[0]),
        ("cached_text", "cached input", usd_per_million[1], tokens[1]),
        ("output_text", "output", usd_per_million[2], tokens[2]),
    ]
    if write:
        kinds.append(("cache_write", "cache writes", write, tokens[1] // 9))
    prices = tuple(TokenPrice(kind, f"{spelled}, {text}", pico_per_unit(usd), n) for kind, text, usd, n in kinds if n)
    return TextModel(name, prices, tiers, batch)


TEXT_MODELS = (
    _text(
        "gpt-6-sol",
        ("2", "0.2", "10"),
        (2_100, 3_400, 420),
        write="2.5",
        tiers=("default", "flex"),
        batch=True,
    ),
    _text("gpt-6-astra", ("10", "1", "50"), (1_400, 900, 610), write="12.5", tiers=("default", "priority"), batch=True),
    _text(
        "gpt-6-luna", ("0.1", "0.01", "0.5"), (3_900, 2_200, 350), write="0.125", tiers=("default", "flex"), batch=True
    ),
    _text("gpt-5.6-luna", ("0.2", "0.02", "1.2"), (2_600, 4_100, 280), write="0.25", batch=True),
    _text("gpt-5.6-terra", ("2", "0.2", "12"), (1_800, 1_500, 390), write="2.5", tiers=("default", "flex"), batch=True),
    _text("gpt-4.1-2025-04-14", ("2", "0.5", "8"), (2_300, 700, 330), batch=True),
    _text("gpt-4o-2024-08-06", ("2.5", "1.25", "10"), (1_700, 400, 260), batch=True),
    _text("gpt-4o-mini-2024-07-18", ("0.15", "0.075", "0.6"), (1_900, 800, 310), batch=True),
    _text("o1-pro", ("150", "0", "600"), (310, 0, 540)),
    _text("chat-latest", ("5", "0.5", "30"), (900, 350, 240)),
    _text("ft:gpt-4o-2024-08-06:sandbox::Ab3xK9", ("3.75", "1.875", "15"), (1_100, 0, 190)),
    TextModel(
        "gpt-audio-mini-2025-12-15",
        (
            TokenPrice("input_text", "gpt-audio-mini-2025-12-15 text, input", pico_per_unit("0.6"), 180),
            TokenPrice("input_audio", "gpt-audio-mini-2025-12-15 audio, input", pico_per_unit("10"), 640),
            TokenPrice("output_text", "gpt-audio-mini-2025-12-15 text, output", pico_per_unit("2.4"), 90),
            TokenPrice("output_audio", "gpt-audio-mini-2025-12-15 audio, output", pico_per_unit("20"), 520),
        ),
    ),
    TextModel(
        "gpt-realtime-2.1-mini-2026-08-28",
        (
            TokenPrice("input_text", "gpt-realtime-2.1-mini-2026-08-28, text input", pico_per_unit("0.6"), 150),
            TokenPrice("input_audio", "gpt-realtime-2.1-mini-2026-08-28, audio input", pico_per_unit("10"), 870),
            TokenPrice(
                "cached_audio",
                "gpt-realtime-2.1-mini-2026-08-28, cached audio input",
                pico_per_unit("0.3"),
                400,
            ),
            TokenPrice("input_image", "gpt-realtime-2.1-mini-2026-08-28, image input", pico_per_unit("0.8"), 60),
            TokenPrice("output_audio", "gpt-realtime-2.1-mini-2026-08-28, audio output", pico_per_unit("20"), 450),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request of a tool puts on the bill: `quantity` units at `pico_usd` each."""

    line_item: str
    unit: str | None
    quantity: int
    pico_usd: int


@dataclass(frozen=True, slots=True)
class Tool:
    """Usage outside completions: `endpoint` is the path under /usage, `measures` are units per request."""

    endpoint: str
    model: str | None
    measures: tuple[tuple[str, int], ...]
    charges: tuple[Charge, ...]
    monthly_requests: int
    dimensions: tuple[tuple[str, str], ...] = ()


_IMAGE = "gpt-image-2-2026-04-21"
TOOLS = (
    Tool(
        "web_search_calls",
        "gpt-6-sol",
        (("num_requests", 1), ("num_model_requests", 1)),
        (Charge("web search tool calls", None, 1, pico_per_unit("0.01", 1)),),
        2_600,
        (("context_level", "medium"),),
    ),
    Tool(
        "embeddings",
        "text-embedding-3-small",
        (("input_tokens", 730), ("num_model_requests", 1)),
        (Charge("text-embedding-3-small, input", "tokens", 730, pico_per_unit("0.02")),),
        90_000,
    ),
    Tool(
        "images",
        _IMAGE,
        (("images", 1), ("num_model_requests", 1)),
        (
            Charge(f"{_IMAGE} text, input", "tokens", 85, pico_per_unit("5")),
            Charge(f"{_IMAGE} image, cached input", "tokens", 300, pico_per_unit("2")),
            Charge(f"{_IMAGE} image, output", "tokens", 4_160, pico_per_unit("30")),
        ),
        1_300,
        (("size", "1024x1024"), ("source", "image.generation")),
    ),
    Tool(
        "file_search_calls",
        None,
        (("num_requests", 1),),
        (Charge("file search tool calls", None, 1, pico_per_unit("0.0025", 1)),),
        4_000,
        (("vector_store_id", "vs_sandbox"),),
    ),
    Tool(
        "moderations",
        "omni-moderation-latest",
        (("input_tokens", 410), ("num_model_requests", 1)),
        (Charge("omni-moderation-latest, input", "tokens", 410, 0),),
        60_000,
    ),
    Tool(
        "audio_transcriptions",
        "whisper-1",
        (("seconds", 95), ("num_model_requests", 1)),
        (Charge("whisper-1, input", "duration_seconds", 95, pico_per_unit("0.0001", 1)),),
        3_100,
    ),
    Tool(
        "audio_speeches",
        "tts-1",
        (("characters", 240), ("num_model_requests", 1)),
        (Charge("tts-1, input", "characters", 240, pico_per_unit("15")),),
        5_200,
    ),
    Tool(
        "code_interpreter_sessions",
        None,
        (("num_sessions", 1),),
        (Charge("code interpreter sessions", None, 1, pico_per_unit("0.03", 1)),),
        700,
    ),
    Tool(
        "vector_stores",
        None,
        (("usage_bytes", 1_048_576),),
        (Charge("assistants api | file search", "gibibyte_hours", 2, pico_per_unit("0.0042", 1)),),
        2_000,
    ),
    Tool(
        "decisions",
        "gpt-6-luna",
        (("input_tokens", 1_200), ("output_tokens", 40), ("num_model_requests", 1)),
        (
            Charge("decisions | gpt-6-luna, input", "tokens", 1_200, pico_per_unit("0.1")),
            Charge("decisions | gpt-6-luna, output", "tokens", 40, pico_per_unit("0.5")),
        ),
        8_000,
    ),
)


@dataclass(frozen=True, slots=True)
class RoutedModel:
    """A model at one upstream of OpenRouter; `usd_per_token` prices are the decimal strings /models shows."""

    slug: str
    permaslug: str
    provider: str
    prompt_usd: str
    completion_usd: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int


ROUTED_MODELS = (
    RoutedModel("openai/gpt-6-sol", "openai/gpt-6-sol-20260922", "OpenAI", "0.000002", "0.00001", 2_900, 380, 120, 800),
    RoutedModel("openai/gpt-6-sol", "openai/gpt-6-sol-20260922", "Azure", "0.000002", "0.00001", 2_500, 340, 90, 0),
    RoutedModel(
        "anthropic/claude-sonnet-5",
        "anthropic/claude-sonnet-5-20260611",
        "Anthropic",
        "0.000003",
        "0.000015",
        3_400,
        520,
        0,
        1_900,
    ),
    RoutedModel(
        "google/gemini-3-flash",
        "google/gemini-3-flash-20260318",
        "Google",
        "0.0000003",
        "0.0000025",
        5_100,
        610,
        200,
        0,
    ),
    RoutedModel(
        "deepseek/deepseek-v4",
        "deepseek/deepseek-v4-20260420",
        "DeepSeek",
        "0.00000027",
        "0.0000011",
        4_200,
        900,
        480,
        1_200,
    ),
    RoutedModel(
        "mistralai/mistral-large-4",
        "mistralai/mistral-large-4-20260205",
        "Mistral",
        "0.000002",
        "0.000006",
        1_700,
        300,
        0,
        0,
    ),
    RoutedModel(
        "meta-llama/llama-5-70b",
        "meta-llama/llama-5-70b",
        "Groq",
        "0.00000059",
        "0.00000079",
        1_300,
        270,
        0,
        0,
    ),
    RoutedModel("x-ai/grok-5", "x-ai/grok-5-20260714", "xAI", "0.000003", "0.000015", 2_200, 410, 260, 500),
)
