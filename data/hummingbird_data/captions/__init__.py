"""Captions of clips, and the engines that ask models for them."""

CAPTION_ENGINES = {
    "transformers": "hummingbird_data.captions.engine_transformers:TransformersEngine",
    "vllm": "hummingbird_data.captions.engine_vllm:VllmEngine",
    "http": "hummingbird_data.captions.engine_http:HttpEngine",
}
"""Short names for ``curate.caption_engine`` and ``curate.rewrite_engine``; others are named ``module:Class``."""
