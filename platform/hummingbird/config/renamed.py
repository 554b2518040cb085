"""Settings that have another name than in an earlier version of the tree."""

RENAMED = {
    "benchmark.student_steps": "benchmark.student_inference_steps",
    "benchmark.teacher_steps": "benchmark.teacher_inference_steps",
    "benchmark.warmup": "benchmark.warmup_videos",
    "curate.copy_colour": "curate.copy_color",
    "distill.batch": "distill.batch_size",
    "distill.feature_weight": "distill.method.distillation.feature_weight",
    "distill.guidance": "distill.method.distillation.guidance_scale",
    "distill.guidance_scale": "distill.method.distillation.guidance_scale",
    "encode.size": "encode.height",
    "evaluate.batch": "evaluate.batch_size",
    "evaluate.few_steps": "evaluate.few_step_inference_steps",
    "evaluate.frames": "evaluate.num_frames",
    "evaluate.guidance": "evaluate.guidance_scale",
    "evaluate.precision": "evaluate.mixed_precision",
    "evaluate.steps": "evaluate.num_inference_steps",
    "feedback.batch": "feedback.batch_size",
    "feedback.guidance_max": "feedback.method.consistency.guidance_scale_max",
    "feedback.guidance_min": "feedback.method.consistency.guidance_scale_min",
    "feedback.guidance_scale_max": "feedback.method.consistency.guidance_scale_max",
    "feedback.guidance_scale_min": "feedback.method.consistency.guidance_scale_min",
    "feedback.guidance_size": "feedback.method.consistency.guidance_size",
    "feedback.image_frames": "feedback.rewards.shapes_image.frames",
    "feedback.image_reward": "feedback.rewards.shapes_image.weight",
    "feedback.on_policy": "feedback.method.phased_consistency.on_policy",
    "feedback.phases": "feedback.method.phased_consistency.phases",
    "feedback.reuse": "feedback.method.consistency.reuse",
    "feedback.rollouts": "feedback.method.phased_consistency.rollouts",
    "feedback.solver_steps": "feedback.method.consistency.solver_steps",
    "feedback.target": "feedback.method.consistency.target",
    "feedback.video_frames": "feedback.rewards.shapes_video.frames",
    "feedback.video_reward": "feedback.rewards.shapes_video.weight",
    "models.rewards": "feedback.rewards.shapes_image.model",
    "plan.batch": "plan.batch_size",
    "plan.checkpointing": "plan.gradient_checkpointing",
    "plan.clips": "plan.calibration_clips",
    "plan.frames": "plan.num_frames",
    "plan.precision": "plan.mixed_precision",
    "plan.rows": "plan.calibration_batch_size",
    "plan.timesteps": "plan.calibration_timesteps",
    "plan_benchmark.batch": "plan_benchmark.batch_size",
    "plan_benchmark.steps": "plan_benchmark.num_inference_steps",
    "plan_benchmark.timed_batch": "plan_benchmark.timed_batch_size",
    "plan_benchmark.warmup": "plan_benchmark.warmup_passes",
    "pretrain.rate": "pretrain.learning_rate",
    "serve.max_steps": "serve.max_inference_steps",
    "serve.replicas": "serve.max_replicas",
    "training.average": "training.ema_decay",
    "training.checkpointing": "training.gradient_checkpointing",
    "training.clip": "training.max_grad_norm",
    "training.precision": "training.mixed_precision",
    "training.threads": "training.cpus_per_worker",
    "training.warmup": "training.warmup_steps",
    "unet_benchmark.batch": "unet_benchmark.batch_size",
    "unet_benchmark.checkpointing": "unet_benchmark.gradient_checkpointing",
    "unet_benchmark.frames": "unet_benchmark.num_frames",
    "unet_benchmark.warmup": "unet_benchmark.warmup_passes",
}
"""From the old dotted name to the new one."""

_EITHER = "of phased_consistency likewise"
MEANING = {
    "encode.size": "and encode.width; none: what the teacher was made for",
    "feedback.guidance_min": "the scale s of uncond + s (cond - uncond), which is one more than before",
    "feedback.guidance_max": "the scale s of uncond + s (cond - uncond), which is one more than before",
    "feedback.guidance_scale_max": _EITHER,
    "feedback.guidance_scale_min": _EITHER,
    "feedback.guidance_size": _EITHER,
    "feedback.reuse": _EITHER,
    "feedback.solver_steps": _EITHER,
    "feedback.target": _EITHER,
    "models.rewards": "and of shapes_video likewise",
}
"""What else changed with a name."""


def explain_renamed(key: str) -> str | None:
    """The sentence about a setting that was renamed; None for any other."""
    if key not in RENAMED:
        return None
    meaning = f": {MEANING[key]}" if key in MEANING else ""
    return f"`{key}` is now `{RENAMED[key]}`{meaning}"
