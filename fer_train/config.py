"""Every setting of a training run, with its meaning; contradictions are refused when a ``Config`` is made.

A run stores its resolved settings as ``config.toml``. Settings of ``[machine]`` change how fast a run goes, the
others change what is computed: only the others must be the same when a run is resumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Final, Literal

from fer_prep.errors import UsageError, did_you_mean
from fer_prep.options import option, refuse_out_of_range
from fer_train.data.inputs import INPUTS, parse_inputs
from fer_train.losses import LOSSES
from fer_train.models import MODELS, OWN_INPUT

BOTH: Final = "rgb,depth"
RELIEF: Final = "rgb-relief"
Fusion = Literal["attention", "sum", "concat", "attention-1d"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What is read from the dataset."""

    image_size: int = option(260, min=1, max=2048)
    """Side of the network's input in pixels; the stored rasters are resized to it once."""
    equalise_luma: bool = False
    """Equalise the histogram of the luma, as the thesis's author did under the name illumination normalisation."""
    smoothing_mm: float = option(2.0, min=0.1)
    """How far around a pixel its normal and curvature are looked for: the standard deviation of the weights."""
    points: int = option(1024, min=1, max=65536)
    """How many points ``points`` and ``bare-points`` have."""
    point_choice: Literal["random", "farthest"] = "random"
    """Which: any pixels that have depth, or one after the other the one that is farthest from all before, which covers
    the face evenly and takes longer."""
    voxels: int = option(32, min=4, max=256)
    """Voxels along each side of the cube of 192 mm around the nose, of ``voxels`` and ``colour-voxels``."""


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The network."""

    network: str = option("two-stream", names=tuple(MODELS))
    """Which network of ``fer_train/models``; the thesis's is the one that comes with the program."""
    backbone: str = "tf_efficientnet_b2"
    """Any timm model that returns feature maps, by its timm name; HSEmotion's weights are of ``tf_efficientnet_b2``."""
    inputs: str = option(BOTH, names=(*INPUTS, BOTH))
    """What the network looks at, by name, the first one leading in the fusion: one stream each (thesis, Table 3.6).
    ``pointnet`` and ``voxnet`` look at ``points`` and ``voxels`` where nothing else is said."""
    fusion: Fusion = "attention"
    """How the streams meet: averaged attention masks on the RGB features (thesis), or a baseline (Table 3.7)."""
    aggregation: Literal["class-token", "encoder-mean", "average"] = "class-token"
    """What turns the fused map into one vector: a transformer encoder read off its class token (thesis) or as the mean
    over its tokens, or average pooling without an encoder (Table 3.7)."""
    spatial_attention: Literal["lanet", "cbam", "none"] = "lanet"
    """Where each stream looks: local attention nets (thesis), CBAM's spatial half, or everywhere alike, as the plain
    sum of eq. 3.3 does (Table 3.7)."""
    attention_maps: int = option(4, min=1, max=256)
    """S, the number of spatial attentions a stream."""
    attention_reduction: int = option(16, min=1, max=65536)
    """How far a spatial attention squeezes the channels inside."""
    token_width: int = option(256, min=1, max=16384)
    """D, the width of the tokens and of the feature vector."""
    encoder_depth: int = option(4, min=1, max=256)
    """Layers of the transformer encoder."""
    encoder_heads: int = option(8, min=1)
    """Attention heads a layer; must divide token_width."""
    mlp_width: int = option(256, min=1, max=65536)
    """Hidden width of the classifying MLP."""
    dropout: float = option(0.1, min=0, max=1)
    """Dropout in encoder and MLP."""
    blocks: str = "landmarks-2d,landmarks-3d,hog,depth-hog"
    """What the network ``classical`` looks at, by name; what a dataset has nothing for is left out."""
    components: int = option(150, min=1)
    """Principal components of a block that the discriminant of ``classical`` takes, at most."""
    shrinkage: float = option(0.1, min=0, max=1)
    """How far that discriminant's covariance is drawn toward a multiple of the identity."""
    with_classical: bool = False
    """Answer with the mean of the network's probabilities and of those of ``classical``, fitted to the same people;
    what either counts is found on some of them, by a training of half the length that leaves those out."""
    mirror_average: bool = False
    """Answer with the mean of a picture's and of its mirror image's log-probabilities."""
    drop_path: float = option(0.0, min=0, max=1)
    """Stochastic depth in the backbones."""
    depth_channels: Literal[1, 3] = 3
    """Inputs of one channel, such as depth, repeated to three (thesis), or one channel with an adapted stem."""
    pretrained: bool = False
    """Start from timm's own weights, which timm fetches or takes from its cache."""
    weights: str = ""
    """A local file with backbone weights (state dict or safetensors), such as HSEmotion's VGGFace2 EfficientNet-B2; or
    the folder of a trained fold, from which the whole network starts."""
    same_names: Literal["refuse", "strangers"] = "refuse"
    """People judged here whose names stand among those that ``weights`` learned from: refused, or known to you to be
    strangers who merely share a name, as those of sample data and of the real datasets do."""

    def __post_init__(self) -> None:
        if self.network in OWN_INPUT and self.inputs in (BOTH, RELIEF):
            object.__setattr__(self, "inputs", OWN_INPUT[self.network])

    @property
    def input_names(self) -> tuple[str, ...]:
        """``inputs`` one by one; a UsageError where one is unknown."""
        return parse_inputs(self.inputs)


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The loss and its weights; a setting that the chosen loss does not have is not used."""

    name: str = option("island", names=tuple(LOSSES))
    """``cross-entropy``, or an equation of the thesis: ``hinge`` 2.14, ``center`` 2.15, ``island`` 2.19, ``focal``
    2.22; ``center`` and ``island`` are terms beside cross-entropy."""
    class_weights: Literal["balanced", "none"] = "balanced"
    """``balanced`` weighs a class by the inverse of its frequency in the training fold."""
    targets: Literal["hard", "soft"] = "hard"
    """``soft`` learns from the shares of the annotators (``/labels/soft``); losses with a cross-entropy in them."""
    label_smoothing: float = option(0.0, min=0, max=1)
    """Share of the target spread over all classes; losses with a cross-entropy in them."""
    center_weight: float = 0.01
    """λ, the weight of the center or island term against cross-entropy."""
    alpha: float = option(0.5, min=0, max=1)
    """α, how far a center moves at each step (Wen et al. 2016, eq. 4), or its learning rate under ``sgd``."""
    pair_weight: float = 10.0
    """λ₁, the weight of the pairwise term inside the island loss (Cai et al. 2018)."""
    island_form: Literal["nested", "flat"] = "nested"
    """``nested`` has λ before both terms, CE + λ (L_C + λ₁ L_I); ``flat`` before the first, CE + λ L_C + λ₁ L_I
    (thesis, eq. 2.19 as printed)."""
    centers: Literal["wen", "sgd"] = "wen"
    """``wen`` moves centers by Wen et al., from the origin; ``sgd`` along the loss's gradient, from random places, as
    the thesis's author did: only so do frozen features let them move apart."""
    pair_reduction: Literal["sum", "mean"] = "sum"
    """Whether the island loss sums over pairs of centers (the paper) or takes their mean."""
    gamma: float = option(2.0, min=0)
    """γ of the focal loss, how strongly easy samples are played down; 0 is cross-entropy."""


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """AdamW and the One-Cycle schedule."""

    backbone_rate: float = 1e-4
    """Highest learning rate of the backbones."""
    fusion_rate: float = 1e-3
    """Highest learning rate of everything behind the backbones."""
    floor_rate: float = 1e-6
    """Learning rate at the very end, of both groups."""
    warm_up: float = option(0.3, min=0, max=1)
    """Share of the steps during which the rate rises."""
    start_divisor: float = 25.0
    """The rate starts at its highest value divided by this."""
    weight_decay: float = 0.01
    """Decoupled weight decay of the weight matrices; biases and normalisation layers have none."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this total norm; 0 leaves them alone."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The loop."""

    epochs: int = option(10, min=1)
    """Passes over the training fold."""
    batch_size: int = option(128, min=1)
    """Samples an optimiser step."""
    micro_batch_size: int = option(32, min=1)
    """Samples that pass through the network at once, at most; gradients are accumulated to one optimiser step."""
    validations_per_epoch: int = option(10, min=1)
    """How often the whole validation fold is looked at during an epoch."""
    seed: int = 42
    """Seeds weights, order, augmentation and dropout; every fold adds its number."""
    ema_decay: float = option(0.0, min=0, max=1)
    """Validate and keep an exponential moving average of the weights with this decay; 0 is off."""
    inner_split: float = option(0.0, min=0, max=0.5)
    """Share of the training fold's subjects held out to decide when to stop; 0 is none."""
    early_stop: int = 0
    """Stop after so many validations of the inner split without a lower loss; 0 is off."""


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """How strong each augmentation is; 0 switches it off."""

    views: bool = True
    """Where the dataset has several views of a recording, draw one an epoch; false learns of the frontal ones alone."""
    rotation_degrees: float = option(10.0, min=0, max=180)
    """Largest rotation about the picture's centre, either way, uniform."""
    flip: float = option(0.5, min=0, max=1)
    """Probability of a left-right flip."""
    scale: float = option(0.0, min=0)
    """The picture is enlarged by at most 1 + this or shrunk likewise, uniform in the logarithm."""
    shift: float = option(0.0, min=0, max=1)
    """Largest shift right, left, up and down in shares of the side, uniform."""
    brightness: float = option(0.2, min=0, max=1)
    """RGB is multiplied by 1 ± this, uniform."""
    contrast: float = option(0.2, min=0, max=1)
    """Distance from the picture's mean luma is multiplied by 1 ± this, uniform."""
    saturation: float = option(0.2, min=0, max=1)
    """Distance from each pixel's luma is multiplied by 1 ± this, uniform."""
    mixup: float = option(0.0, min=0, max=0.5)
    """Another sample of the batch shines through with at most this share, uniform, and counts so much in the target
    (Zhang et al., ICLR 2018, whose shares are of a beta distribution)."""
    depth_noise: float = option(0.0, min=0, max=50)
    """Standard deviation of a depth camera's error in mm at the nearest point of the face, 600 mm before the camera; it
    grows with the square of the distance."""
    depth_holes: float = option(0.0, min=0, max=1)
    """Probability that a sample loses depth as a camera does: where the surface is seen at a grazing angle, and in a
    ragged band around hair and outline."""
    erase: float = option(0.25, min=0, max=1)
    """Probability that a rectangle is erased, from RGB and depth alike (a hand hides both)."""
    erase_area: tuple[float, float] = (0.02, 0.15)
    """Share of the picture that the rectangle covers, uniform between the two."""
    erase_aspect: tuple[float, float] = (0.3, 3.3)
    """Height over width of the rectangle, uniform in the logarithm between the two."""

    def __post_init__(self) -> None:
        refuse_out_of_range(self, section="augmentation.")
        if not 0.0 < self.erase_area[0] <= self.erase_area[1] <= 1.0:
            raise UsageError(f"augmentation.erase_area must be two rising shares in (0, 1]; found {self.erase_area}")
        if not 0.0 < self.erase_aspect[0] <= self.erase_aspect[1]:
            raise UsageError(f"augmentation.erase_aspect must be two rising ratios; found {self.erase_aspect}")


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """How this machine goes about it; may change between a run and its resumption."""

    device: str = option("auto", names=("auto", "cpu", "cuda", "mps"))
    """``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """``auto`` is bfloat16 autocast on GPUs that compute in it, float16 with scaled losses on others, as the thesis
    had; float32 elsewhere."""
    threads: int = 0
    """CPU threads of PyTorch; 0 takes as many as processors are free when the run starts."""
    compile: bool = False
    """Compile the network with torch.compile: pays from some thousand steps on."""
    autotune: bool = False
    """Let cuDNN try its kernels for every new shape and keep the fastest; sums may then differ from run to run."""
    deterministic: bool = False
    """Only deterministic kernels: slower on GPUs, the same numbers every time."""
    checkpoint_seconds: float = 30.0
    """Write ``last.ckpt`` when so much time has passed since the last one; 0 writes it after every step."""
    validation_batch_size: int = option(256, min=1)
    """Samples at once where no gradients are kept."""
    parallel_folds: int = option(1, min=1)
    """Folds that are trained side by side, each by a process of its own; GPUs are dealt out in turn."""
    data_memory: str = "auto"
    """What the pixels may take on the device, such as ``8GB``; larger datasets are streamed. ``auto`` is half of what
    is free, ``0`` always streams."""
    reading_workers: int = option(2, min=0)
    """Threads that read ahead where the data is streamed; 0 reads when the samples are asked for."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run, resolved."""

    name: str = "thesis"
    """Names the run folder."""
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    machine: MachineSettings = field(default_factory=MachineSettings)

    def __post_init__(self) -> None:
        parse_inputs(self.model.inputs)
        for section in fields(self):
            if is_dataclass(settings := getattr(self, section.name)):
                refuse_out_of_range(settings, section=f"{section.name}.")
        for broken, message in self._contradictions():
            if broken:
                raise UsageError(message)

    def _contradictions(self) -> list[tuple[bool, str]]:
        """Every rule as (is it broken, what to say)."""
        model, loss, training, optimiser = self.model, self.loss, self.training, self.optimiser
        lowest_peak = min(optimiser.backbone_rate, optimiser.fusion_rate)
        return [
            (loss.name not in LOSSES, f"loss.name = {loss.name!r}: {did_you_mean(loss.name, LOSSES)}"),
            (model.network not in MODELS, f"model.network = {model.network!r}: {did_you_mean(model.network, MODELS)}"),
            (
                model.token_width % model.encoder_heads != 0,
                f"model.encoder_heads = {model.encoder_heads} does not divide model.token_width = {model.token_width}",
            ),
            (
                model.spatial_attention == "none" and model.fusion.startswith("attention") and "," in model.inputs,
                f"model.spatial_attention = 'none' leaves {model.fusion} fusion without the second input; use "
                "model.fusion=sum or concat",
            ),
            (
                bool(model.weights) and model.pretrained,
                "model.weights and model.pretrained contradict each other: weights come from the file or from timm",
            ),
            (
                optimiser.floor_rate > lowest_peak,
                f"optimiser.floor_rate = {optimiser.floor_rate} is above the highest rate {lowest_peak}",
            ),
            (
                training.early_stop > 0 and training.inner_split == 0,
                "training.early_stop needs training.inner_split: stopping on the reported fold would choose its "
                "best epoch; hold out a share of the training subjects, for example training.inner_split=0.15",
            ),
        ]
