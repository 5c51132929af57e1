"""What every config key may be set to: one table, asked by :mod:`bdd_inst.config.checking`.

Names, numbers in a range, anything of its type, or nothing but its default. Nothing that a config asks for is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable

NORMS = ("", "FrozenBN", "BN", "SyncBN", "nnSyncBN", "GN")
GROUP_NORM_GROUPS = (
    32  # as in the paper (Wu and He, 2018) and in Detectron2; the channels must be a multiple
)
POOLERS = ("ROIAlignV2", "ROIAlign")
BOX_LOSSES = ("smooth_l1", "giou", "diou", "ciou")

FREEZE_AT = (0, 1, 2, 3, 4, 5)  # nothing, the stem, also res2, ..., the whole ResNet

# Keys of which only these values are built. Others are refused whatever the default is. STAGES.X is a stage's own key X.
VALUES: dict[str, tuple] = {
    "VERSION": (2,),
    "MODEL.ENGINE": ("builtin", "detectron2"),
    "MODEL.PRECISION": ("float32", "bf16", "fp16"),
    "MODEL.BACKBONE.FREEZE_AT": FREEZE_AT,
    "STAGES.FREEZE_AT": FREEZE_AT,
    "FLOAT32_PRECISION": ("", "highest", "high", "medium"),
    "MODEL.RESNETS.DEPTH": (18, 34, 50, 101, 152),
    "MODEL.RESNETS.NORM": NORMS[1:],
    "MODEL.RESNETS.RES5_DILATION": (1, 2),
    "MODEL.FPN.NORM": NORMS,
    "MODEL.FPN.FUSE_TYPE": ("sum", "avg"),
    "MODEL.ANCHOR_GENERATOR.NAME": ("DefaultAnchorGenerator",),
    "MODEL.PROPOSAL_GENERATOR.NAME": ("RPN",),
    "MODEL.RPN.HEAD_NAME": ("StandardRPNHead",),
    "MODEL.RPN.BBOX_REG_LOSS_TYPE": BOX_LOSSES,
    "MODEL.ROI_BOX_HEAD.NAME": ("FastRCNNConvFCHead", ""),
    "MODEL.ROI_BOX_HEAD.NORM": NORMS,
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": POOLERS,
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": BOX_LOSSES,
    "MODEL.ROI_MASK_HEAD.NAME": ("MaskRCNNConvUpsampleHead",),
    "MODEL.ROI_MASK_HEAD.NORM": NORMS,
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": POOLERS,
    "MODEL.SEM_SEG_HEAD.ENCODER_DEPTH": (3, 4, 5),
    "MODEL.SEM_SEG_HEAD.NORM": NORMS,
    "INPUT.FORMAT": ("BGR", "RGB"),
    "INPUT.MASK_FORMAT": ("polygon", "bitmask"),
    "INPUT.MIN_SIZE_TRAIN_SAMPLING": ("choice", "range"),
    "INPUT.RANDOM_FLIP": ("horizontal", "vertical", "none"),
    "INPUT.CROP.TYPE": ("relative", "relative_range", "absolute", "absolute_range"),
    "DATASETS.INSTANCES": ("class", "component"),
    "DATASETS.SOURCE": ("auto", "polygons", "rles", "bitmasks"),
    "DATASETS.RASTER": ("official", "coco"),
    "SOLVER.WARMUP_METHOD": ("linear", "constant"),
    "SOLVER.AMP.PRECISION": ("auto", "bf16", "fp16"),
    "LOGGERS": ("csv", "tensorboard", "wandb", "mlflow"),
}

# Keys whose values are the names of a table (:mod:`bdd_inst.base.registry`), which a user's own module may add to.
BY_TABLE = (
    "MODEL.META_ARCHITECTURE",
    "MODEL.BACKBONE.NAME",
    "MODEL.ROI_HEADS.NAME",
    "MODEL.SEM_SEG_HEAD.NAME",
    "INPUT.AUGMENTATIONS",
    "DATALOADER.SAMPLER_TRAIN",
    "SOLVER.OPTIMIZER",
    "SOLVER.LR_SCHEDULER_NAME",
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE",
    "TEST.PROTOCOL",
    "STAGES.TRAIN",
)
# Keys whose values are texts of one form: its words, and the expression that matches the whole.
TEXTS: dict[str, tuple[str, str]] = {
    "MODEL.DEVICE": ("cuda, cuda:N, mps, cpu", r"(cuda|mps|cpu)(:\d+)?")
}
# Of these, whose value is a list, each entry must be one.
LISTS = ("INPUT.AUGMENTATIONS", "LOGGERS")

Rule = tuple[str, Callable[[float], bool]]
POSITIVE: Rule = ("above 0", lambda v: v > 0)
NOT_NEGATIVE: Rule = ("0 or more", lambda v: v >= 0)
SHARE: Rule = ("between 0 and 1", lambda v: 0 <= v <= 1)
PART: Rule = ("above 0, at most 1", lambda v: 0 < v <= 1)
FINITE: Rule = ("that are finite", lambda v: True)
BELOW_ONE: Rule = ("from 0 to below 1", lambda v: 0 <= v < 1)
HALF: Rule = ("between 0 and 0.5", lambda v: 0 <= v <= 0.5)
BATCH: Rule = ("of at least 1 image, or auto", lambda v: v >= 1 or v == -1)

# What numbers may be; in a list it holds for each.
NUMBERS: dict[str, Rule] = {
    "MODEL.PIXEL_MEAN": FINITE,
    "MODEL.PIXEL_STD": POSITIVE,
    "MODEL.RESNETS.NUM_GROUPS": POSITIVE,
    "MODEL.RESNETS.WIDTH_PER_GROUP": POSITIVE,
    "MODEL.RESNETS.STEM_OUT_CHANNELS": POSITIVE,
    "MODEL.RESNETS.RES2_OUT_CHANNELS": POSITIVE,
    "MODEL.FPN.OUT_CHANNELS": POSITIVE,
    "MODEL.ANCHOR_GENERATOR.OFFSET": BELOW_ONE,
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": NOT_NEGATIVE,
    "MODEL.RPN.IOU_THRESHOLDS": SHARE,
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": POSITIVE,
    "MODEL.RPN.POSITIVE_FRACTION": SHARE,
    "MODEL.RPN.BBOX_REG_LOSS_WEIGHT": NOT_NEGATIVE,
    "MODEL.RPN.BBOX_REG_WEIGHTS": POSITIVE,
    "MODEL.RPN.SMOOTH_L1_BETA": NOT_NEGATIVE,
    "MODEL.RPN.LOSS_WEIGHT": NOT_NEGATIVE,
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": POSITIVE,
    "MODEL.RPN.PRE_NMS_TOPK_TEST": POSITIVE,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": POSITIVE,
    "MODEL.RPN.POST_NMS_TOPK_TEST": POSITIVE,
    "MODEL.RPN.NMS_THRESH": SHARE,
    "MODEL.ROI_HEADS.NUM_CLASSES": POSITIVE,
    "MODEL.ROI_HEADS.IOU_THRESHOLDS": SHARE,
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": POSITIVE,
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": SHARE,
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": SHARE,
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": SHARE,
    "MODEL.ROI_BOX_HEAD.NUM_FC": NOT_NEGATIVE,
    "MODEL.ROI_BOX_HEAD.FC_DIM": POSITIVE,
    "MODEL.ROI_BOX_HEAD.NUM_CONV": NOT_NEGATIVE,
    "MODEL.ROI_BOX_HEAD.CONV_DIM": POSITIVE,
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": POSITIVE,
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": NOT_NEGATIVE,
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT": NOT_NEGATIVE,
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": POSITIVE,
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": NOT_NEGATIVE,
    "MODEL.ROI_MASK_HEAD.NUM_CONV": NOT_NEGATIVE,
    "MODEL.ROI_MASK_HEAD.CONV_DIM": POSITIVE,
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": POSITIVE,
    "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": NOT_NEGATIVE,
    "MODEL.ROI_BOX_CASCADE_HEAD.IOUS": SHARE,
    "MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT": NOT_NEGATIVE,
    "MODEL.PANOPTIC_FPN.COMBINE.OVERLAP_THRESH": SHARE,
    "MODEL.PANOPTIC_FPN.COMBINE.STUFF_AREA_LIMIT": NOT_NEGATIVE,
    "MODEL.PANOPTIC_FPN.COMBINE.INSTANCES_CONFIDENCE_THRESH": SHARE,
    "MODEL.SEM_SEG_HEAD.NUM_CLASSES": POSITIVE,
    "MODEL.SEM_SEG_HEAD.CONVS_DIM": POSITIVE,
    "MODEL.SEM_SEG_HEAD.COMMON_STRIDE": POSITIVE,
    "MODEL.SEM_SEG_HEAD.LOSS_WEIGHT": NOT_NEGATIVE,
    "MODEL.SEM_SEG_HEAD.LOSSES.CROSS_ENTROPY": NOT_NEGATIVE,
    "MODEL.SEM_SEG_HEAD.LOSSES.BCE": NOT_NEGATIVE,
    "MODEL.SEM_SEG_HEAD.LOSSES.DICE": NOT_NEGATIVE,
    "MODEL.SEM_SEG_HEAD.LOSSES.FOCAL": NOT_NEGATIVE,
    "MODEL.SEM_SEG_HEAD.LOSSES.LOVASZ": NOT_NEGATIVE,
    "MODEL.SEM_SEG_HEAD.CLASS_WEIGHTS": NOT_NEGATIVE,
    "MODEL.SEM_SEG_HEAD.LABEL_SMOOTHING": BELOW_ONE,
    "SOLVER.IMS_PER_BATCH": BATCH,
    "SOLVER.REFERENCE_WORLD_SIZE": NOT_NEGATIVE,
    "SOLVER.MAX_ITER": POSITIVE,
    "SOLVER.GAMMA": POSITIVE,
    "SOLVER.WARMUP_FACTOR": NOT_NEGATIVE,
    "SOLVER.BIAS_LR_FACTOR": NOT_NEGATIVE,
    "SOLVER.BACKBONE_MULTIPLIER": NOT_NEGATIVE,
    "SOLVER.LAYER_DECAY": PART,
    "SOLVER.ACCUMULATE": POSITIVE,
    "SOLVER.PLATEAU_PATIENCE": NOT_NEGATIVE,
    "SOLVER.LR_FIND_STEPS": POSITIVE,
    "SOLVER.LOG_PERIOD": POSITIVE,
    "SOLVER.KEEP_CHECKPOINTS": NOT_NEGATIVE,
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": POSITIVE,
    "SOLVER.CLIP_GRADIENTS.NORM_TYPE": POSITIVE,
    "SOLVER.BASE_LR": POSITIVE,
    "SOLVER.MOMENTUM": NOT_NEGATIVE,
    "SOLVER.WEIGHT_DECAY": NOT_NEGATIVE,
    "SOLVER.WEIGHT_DECAY_NORM": NOT_NEGATIVE,
    "SOLVER.WEIGHT_DECAY_BIAS": NOT_NEGATIVE,
    "SOLVER.WARMUP_ITERS": NOT_NEGATIVE,
    "SOLVER.NUM_DECAYS": POSITIVE,
    "SOLVER.STEPS": POSITIVE,
    "SOLVER.EMA.DECAY": SHARE,
    "INPUT.MIN_SIZE_TRAIN": NOT_NEGATIVE,
    "INPUT.MAX_SIZE_TRAIN": POSITIVE,
    "INPUT.MIN_SIZE_TEST": NOT_NEGATIVE,
    "INPUT.MAX_SIZE_TEST": POSITIVE,
    "INPUT.LARGE_SCALE_JITTER.SIZE": POSITIVE,
    "INPUT.LARGE_SCALE_JITTER.SCALE": POSITIVE,
    "INPUT.COPY_PASTE.MAX_INSTANCES": POSITIVE,
    "INPUT.COPY_PASTE.PROB": SHARE,
    "INPUT.ROTATION.ANGLE": FINITE,
    "INPUT.ROTATION.PROB": SHARE,
    "INPUT.BLUR.PROB": SHARE,
    "INPUT.BLUR.SIGMA": POSITIVE,
    "INPUT.CROP.INSTANCE_PROB": SHARE,
    "INPUT.CROP.SIZE": POSITIVE,
    "INPUT.COLOR_JITTER.BRIGHTNESS": NOT_NEGATIVE,
    "INPUT.COLOR_JITTER.CONTRAST": NOT_NEGATIVE,
    "INPUT.COLOR_JITTER.SATURATION": NOT_NEGATIVE,
    "INPUT.COLOR_JITTER.HUE": HALF,
    "DATALOADER.REPEAT_THRESHOLD": NOT_NEGATIVE,
    "DATALOADER.NUM_WORKERS": NOT_NEGATIVE,
    "DATALOADER.RANDOM_SUBSET_RATIO": PART,
    "TEST.AUG.MIN_SIZES": POSITIVE,
    "TEST.AUG.MAX_SIZE": POSITIVE,
    "TEST.TILES.SIZE": POSITIVE,
    "TEST.TILES.OVERLAP": NOT_NEGATIVE,
    "TEST.EARLY_STOPPING.PATIENCE": NOT_NEGATIVE,
    "TEST.EARLY_STOPPING.MIN_DELTA": NOT_NEGATIVE,
    "TEST.IMS_PER_BATCH": POSITIVE,
    "STAGES.EPOCHS": POSITIVE,
}
# How many numbers a list has.
LENGTHS = {
    "MODEL.PIXEL_MEAN": 3,
    "MODEL.PIXEL_STD": 3,
    "MODEL.RPN.BBOX_REG_WEIGHTS": 4,
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": 4,
    "INPUT.LARGE_SCALE_JITTER.SIZE": 2,
    "INPUT.LARGE_SCALE_JITTER.SCALE": 2,
    "INPUT.ROTATION.ANGLE": 2,
    "INPUT.BLUR.SIGMA": 2,
    "INPUT.CROP.SIZE": 2,
}
# Lists whose numbers do not fall; of the second kind no two are equal either.
RISING = (
    "INPUT.LARGE_SCALE_JITTER.SCALE",
    "INPUT.ROTATION.ANGLE",
    "INPUT.BLUR.SIGMA",
    "SOLVER.STEPS",
)
STRICTLY_RISING = ("SOLVER.STEPS",)

# Keys refused wherever they differ from their default, with the reason; patterns cover subtrees.
REFUSED: dict[str, str] = {
    "GLOBAL.HACK": "nothing reads it",
    "VIS_PERIOD": "predictions are drawn once at the end (TEST.PICTURES), not during training",
    "MODEL.KEYPOINT_ON": "keypoints are not built",
    "MODEL.ROI_KEYPOINT_HEAD.*": "keypoints are not built",
    "MODEL.LOAD_PROPOSALS": "precomputed proposals are not read; the RPN makes them",
    "DATASETS.PROPOSAL_FILES_*": "precomputed proposals are not read; the RPN makes them",
    "DATASETS.PRECOMPUTED_PROPOSAL_TOPK_*": "precomputed proposals are not read; the RPN makes them",
    "MODEL.RETINANET.*": "RetinaNet is not built",
    "MODEL.PANOPTIC_FPN.COMBINE.ENABLED": "objects and stuff are always combined, and both are given beside it",
    "MODEL.ANCHOR_GENERATOR.ANGLES": "rotated boxes are not built",
    "MODEL.ROI_BOX_HEAD.USE_FED_LOSS": "the federated loss of LVIS is not built",
    "MODEL.ROI_BOX_HEAD.FED_LOSS_*": "the federated loss of LVIS is not built",
    "TEST.PRECISE_BN.*": "BN statistics are not recomputed after training",
    "TEST.KEYPOINT_OKS_SIGMAS": "keypoints are not built",
    "TEST.EXPECTED_RESULTS": "results are not compared with expected ones; metrics.json holds them",
}

# By meta-architecture: keys of heads that it does not have, refused as above.
NO_PANOPTIC = "MODEL.META_ARCHITECTURE PanopticFPN alone combines objects and stuff"
NO_TILES = "tiles are built for SemanticSegmentor only"
REFUSED_IN: dict[str, dict[str, str]] = {
    "SemanticSegmentor": {"MODEL.PANOPTIC_FPN.*": NO_PANOPTIC},
    "GeneralizedRCNN": {
        "MODEL.PANOPTIC_FPN.*": NO_PANOPTIC,
        "MODEL.SEM_SEG_HEAD.*": "MODEL.META_ARCHITECTURE GeneralizedRCNN has no pixel-wise head",
        "TEST.TILES.*": NO_TILES,
    },
    "PanopticFPN": {"TEST.TILES.*": NO_TILES},
}

# A stage's own keys with their defaults; None: the config's. Beside them a stage may set keys of these sections, but for those that are
# read once, for the whole run: a stage that set one would be passed over. The model is built once, so MODEL is not among them.
STAGE_KEYS = {"NAME": None, "TRAIN": "all", "FREEZE_AT": None, "EPOCHS": None}
STAGE_SECTIONS = ("SOLVER", "INPUT", "DATALOADER", "DATASETS", "TEST")
WHOLE_RUN = (
    "TEST.", "DATASETS.TEST", "SOLVER.EMA.", "SOLVER.AMP.", "SOLVER.LOG_PERIOD", "SOLVER.KEEP_CHECKPOINTS", "SOLVER.LR_FIND_STEPS",
    "INPUT.FORMAT", "INPUT.MIN_SIZE_TEST", "INPUT.MAX_SIZE_TEST",
)  # fmt: skip
BY_STAGE = ("TEST.EVAL_PERIOD",)

# Everything else that is read, by section, with whatever value its type allows, or in the range that NUMBERS says.
_HONORED_BY_SECTION = {
    "": "OUTPUT_DIR SEED CUDNN_BENCHMARK DETERMINISTIC LOGGERS STAGES STAGES.*",
    "MODEL.": "WEIGHTS PIXEL_MEAN PIXEL_STD MASK_ON CHANNELS_LAST",
    "MODEL.BACKBONE.": "TIMM_NAME",
    "MODEL.RESNETS.": "OUT_FEATURES NUM_GROUPS WIDTH_PER_GROUP STEM_OUT_CHANNELS RES2_OUT_CHANNELS STRIDE_IN_1X1 DEFORM_*",
    "MODEL.FPN.": "IN_FEATURES OUT_CHANNELS",
    "MODEL.ANCHOR_GENERATOR.": "SIZES ASPECT_RATIOS OFFSET ROUND",
    "MODEL.PROPOSAL_GENERATOR.": "MIN_SIZE",
    "MODEL.RPN.": "IN_FEATURES CONV_DIMS BOUNDARY_THRESH IOU_THRESHOLDS IOU_LABELS BATCH_SIZE_PER_IMAGE POSITIVE_FRACTION "
    "BBOX_REG_LOSS_WEIGHT BBOX_REG_WEIGHTS SMOOTH_L1_BETA LOSS_WEIGHT PRE_NMS_TOPK_* POST_NMS_TOPK_* NMS_THRESH",
    "MODEL.ROI_HEADS.": "NUM_CLASSES IN_FEATURES IOU_THRESHOLDS IOU_LABELS BATCH_SIZE_PER_IMAGE POSITIVE_FRACTION SCORE_THRESH_TEST "
    "NMS_THRESH_TEST PROPOSAL_APPEND_GT",
    "MODEL.ROI_BOX_HEAD.": "NUM_FC FC_DIM NUM_CONV CONV_DIM POOLER_RESOLUTION POOLER_SAMPLING_RATIO BBOX_REG_LOSS_WEIGHT BBOX_REG_WEIGHTS "
    "SMOOTH_L1_BETA CLS_AGNOSTIC_BBOX_REG TRAIN_ON_PRED_BOXES USE_SIGMOID_CE",
    "MODEL.ROI_MASK_HEAD.": "NUM_CONV CONV_DIM POOLER_RESOLUTION POOLER_SAMPLING_RATIO CLS_AGNOSTIC_MASK",
    "MODEL.ROI_BOX_CASCADE_HEAD.": "BBOX_REG_WEIGHTS IOUS",
    "MODEL.PANOPTIC_FPN.": "INSTANCE_LOSS_WEIGHT COMBINE.*",
    "MODEL.SEM_SEG_HEAD.": "IN_FEATURES IGNORE_VALUE NUM_CLASSES CONVS_DIM COMMON_STRIDE LOSS_WEIGHT "
    "ENCODER DECODER_CHANNELS LOSSES.* CLASS_WEIGHTS LABEL_SMOOTHING",
    # Outside MODEL a key is there because a room reads it (a test looks for each); those nobody reads are in REFUSED.
    **dict.fromkeys(("INPUT.", "DATASETS.", "DATALOADER.", "SOLVER.", "TEST."), "*"),
}
HONORED = tuple(
    section + name for section, names in _HONORED_BY_SECTION.items() for name in names.split()
)

# What the real Detectron2 builds and the builtin engine does not.
DETECTRON2_BUILDS = (
    "MODEL.BACKBONE.NAME",
    "MODEL.RESNETS.*",
    "MODEL.FPN.NORM",
    "MODEL.RPN.HEAD_NAME",
    "MODEL.ROI_HEADS.NAME",
    "MODEL.ROI_BOX_HEAD.*",
    "MODEL.ROI_BOX_CASCADE_HEAD.*",
    "MODEL.ROI_MASK_HEAD.*",
)


# Keys that only the builtin engine acts on.
BUILTIN_ONLY = (
    "TEST.AUG.*",
    "TEST.TILES.*",
    "MODEL.ANCHOR_GENERATOR.ROUND",
    "MODEL.SEM_SEG_HEAD.NAME",
    "MODEL.SEM_SEG_HEAD.ENCODER*",
    "MODEL.SEM_SEG_HEAD.DECODER_CHANNELS",
    "MODEL.SEM_SEG_HEAD.LOSSES.*",
    "MODEL.SEM_SEG_HEAD.CLASS_WEIGHTS",
    "MODEL.SEM_SEG_HEAD.LABEL_SMOOTHING",
)
