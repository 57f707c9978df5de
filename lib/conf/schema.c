/* SPDX-License-Identifier: MIT
 *
 * The one table of the configuration's keys, and their defaults. Adding a key
 * is a field of struct omq_config, a row here, and its default if that is not
 * zero; then scripts/gen-config-man.sh.
 */
#include "conf/conf_internal.h"

#include <string.h>

#include "base/pool.h"

static const char *const shortcut_words[] = {"B", "A", NULL};
static const char *const format_words[] = {"idx",     "synthetic", "folder", "shards",
                                           "cifar10", "cifar100",  NULL};
static const char *const interpolation_words[] = {"bilinear", "bicubic", NULL};
static const char *const bad_image_words[] = {"stop", "skip", NULL};
static const char *const method_words[] = {"omq", "any-precision", "adabits", "double-rounding",
                                           NULL};
static const char *const view_words[] = {"off", "offsets", NULL};
static const char *const grid_words[] = {"auto", "midrise", "symmetric", NULL};
static const char *const steps_words[] = {"layer", "channel", NULL};
static const char *const optimizer_words[] = {"sgd", "adam", NULL};
static const char *const batches_words[] = {"own", "shared", NULL};
static const char *const teacher_words[] = {"highest", "next", NULL};
static const char *const schedule_words[] = {"cosine", "step", NULL};

/* Enums are stored through an int. */
_Static_assert(sizeof(enum omq_format) == sizeof(int), "enums must be as wide as int");

/* The offset of member m, which must have type t. */
#define AT(t, m) _Generic(((struct omq_config *)0)->m, t : offsetof(struct omq_config, m))
#define SIZE(m) sizeof(((struct omq_config *)0)->m)
#define LENGTH(m) (SIZE(m) / SIZE(m[0]))

#define SECTION(p, d) {.path = p, .type = OMQ_CONF_SECTION, .doc = d}
#define BOOL(p, m, d) {.path = p, .type = OMQ_CONF_BOOL, .offset = AT(bool, m), .doc = d}
#define INT(p, m, l, h, d) \
    {.path = p, .type = OMQ_CONF_INT, .offset = AT(int, m), .lo = l, .hi = h, .doc = d}
#define U64(p, m, d) {.path = p, .type = OMQ_CONF_U64, .offset = AT(uint64_t, m), .doc = d}
#define NUMBER(p, m, l, h, d) \
    {.path = p, .type = OMQ_CONF_NUMBER, .offset = AT(double, m), .lo = l, .hi = h, .doc = d}
#define WORD(p, m, t, w, d) \
    {.path = p, .type = OMQ_CONF_WORD, .offset = AT(enum t, m), .words = w, .doc = d}
#define STRING(p, m, r, d) \
    {.path = p, .type = OMQ_CONF_STRING, .offset = offsetof(struct omq_config, m), \
     .size = SIZE(m), .required = r, .doc = d}
#define LIST(p, ty, m, n, l, h, d) \
    {.path = p, .type = ty, .offset = offsetof(struct omq_config, m), \
     .count_offset = AT(int, n), .size = LENGTH(m), .lo = l, .hi = h, .doc = d}
/* A list m of section s that has two entries, which omq_conf_cross_check() sees to. */
#define PAIR(p, s, m, l, h, d) LIST(p, OMQ_CONF_NUMBERS, s.m, s.n_##m, l, h, d)

const struct omq_conf_key omq_conf_keys[] = {
    STRING("output_dir", output_dir, true, "Directory for models, checkpoints and metrics."),
    U64("seed", seed, "Seed of every random choice."),
    INT("threads", threads, 0, OMQ_MAX_THREADS, "Computing threads; 0 is one a processor."),
    LIST("bits", OMQ_CONF_BITS, precisions, n_precisions, 0, 0,
         "The precisions that the model learns, no two equal.\n"
         "One entry trains a dedicated model."),
    LIST("profiles", OMQ_CONF_TEXTS, profiles, n_profiles, 0, 0,
         "Mixtures of these precisions that the model offers besides them, each as\n"
         ".Dq NAME PRECISION LAYER=PRECISION ... :\n"
         "the precision of the residual stream and of all layers that no LAYER names,\n"
         "then those of layers; the last that names a layer counts.\n"
         "In LAYER, * stands for any characters and ? for one.\n"
         "Nothing is trained for them: each layer has the parameters of its precision."),
    STRING("init", init.file, false,
           "File of weights to begin with in place of random ones: safetensors, npz, or a\n"
           "model.omq, of whose precisions the best is taken.\n"
           "Names are those of PyTorch; every precision begins with the batch norm that\n"
           "is in the file."),
    LIST("init_map", OMQ_CONF_TEXTS, init.map, init.n_map, 0, 0,
         "Changes of the names in that file, each as\n"
         ".Dq OLD=NEW ,\n"
         "where OLD is a name or what stands before one of its dots; the first that\n"
         "fits a name counts, and one that fits none is an error."),
    LIST("init_skip", OMQ_CONF_TEXTS, init.skip, init.n_skip, 0, 0,
         "Parameters that keep their random values: names, or patterns of names in\n"
         "which * stands for any characters, or the modules that they are in, as in\n"
         "linear; one that fits none is an error."),
    BOOL("init_strict", init.strict,
         "Parameters that are missing from the file, unexpected in it, or of another\n"
         "shape are an error; else they are listed, and those of the network keep\n"
         "their random values."),
    NUMBER("init_bn_eps", init.bn_eps, 1e-12, 1,
           "The eps of the batch norm in that file: PyTorch's default is 1e-5, networks\n"
           "that come from TensorFlow have 1e-3.\n"
           "Another one than 1e-5 scales the weight of the batch norm."),

    SECTION("data", "The images."),
    WORD("data.format", data.format, omq_format, format_words,
         "How the images are stored; see\n.Sx DATA ."),
    STRING("data.root", data.root, false,
           "Folder of the files; required by all formats but synthetic."),
    STRING("data.prefix", data.prefix, false,
           "What the names of the files begin with, before train-images-idx3-ubyte\n"
           "or train-*.tar; of formats idx and shards."),
    BOOL("data.transpose", data.transpose,
         "The images are stored column by column, as those of EMNIST are; of format idx."),
    INT("data.train_limit", data.train_limit, 0, 1000000000,
        "Training images used, the same number of each class, or all that it has;\n"
        "0 is all."),
    NUMBER("data.validation", data.validation, 0, 0.5,
           "Share of the training images that is held out for validation."),
    {.path = "data.size", .type = OMQ_CONF_INTS, .offset = offsetof(struct omq_config, data.size),
     .count_offset = AT(int, data.n_size), .size = LENGTH(data.size), .one = true, .lo = 1,
     .hi = 4096, .doc = "Side of the network's input in pixels, or its height and width;\n"
                        "for formats whose pictures have any size, and 32 for CIFAR's."},
    INT("data.resize", data.resize, 0, 16384,
        "Length that the shorter side of a test picture is resized to, before the\n"
        "network's input is cut from its centre; 0 is the longer side of that input.\n"
        "For formats whose pictures have any size."),
    WORD("data.interpolation", data.interpolation, omq_interpolation, interpolation_words,
         "The filter of every change of size; both are Pillow's, antialiased."),
    BOOL("data.grayscale", data.grayscale,
         "Pictures are read in shades of grey: one channel;\n"
         "for formats whose pictures have any size."),
    WORD("data.on_bad_image", data.on_bad_image, omq_on_bad_image, bad_image_words,
         "What a picture that cannot be decoded does: it stops the program, or is\n"
         "counted, and in training the next one of the set takes its place."),
    LIST("data.mean", OMQ_CONF_NUMBERS, data.mean, data.n_mean, 0, 1,
         "Mean of the pixels, scaled to 0 to 1: one for all channels or one each.\n"
         "Required: that of the training images, or, where weights were trained by others,\n"
         "theirs; of pictures nothing is known of, 0.5 is near enough."),
    LIST("data.std", OMQ_CONF_NUMBERS, data.std, data.n_std, 0.001, 1,
         "Standard deviation of the pixels, likewise;\n"
         "of pictures nothing is known of, 0.25."),
    INT("data.workers", data.workers, 1, 64, "Threads that load images."),
    SECTION("data.augment", "Random changes of the training images."),
    INT("data.augment.crop_padding", data.augment.crop_padding, 0, 64,
        "Zero pixels added on each side before a random crop to the old size."),
    NUMBER("data.augment.hflip", data.augment.hflip, 0, 1,
           "Probability of a mirror image, left to right."),
    NUMBER("data.augment.vflip", data.augment.vflip, 0, 1,
           "Probability of a mirror image, top to bottom."),
    SECTION("data.augment.random_resized_crop", "A random part of the picture, resized."),
    BOOL("data.augment.random_resized_crop.enabled", data.augment.random_resized_crop.enabled,
         "Train on a random part of each picture, resized to the network's input, as\n"
         "torchvision's RandomResizedCrop.\n"
         "The default is true where another key of this section is given."),
    PAIR("data.augment.random_resized_crop.scale", data.augment.random_resized_crop, scale,
         0.001, 1, "Least and largest share of the picture's area."),
    PAIR("data.augment.random_resized_crop.ratio", data.augment.random_resized_crop, ratio,
         0.01, 100, "Least and largest width / height of the part, before it is resized."),
    SECTION("data.augment.color_jitter", "Random colours, as torchvision's ColorJitter."),
    NUMBER("data.augment.color_jitter.brightness", data.augment.color_jitter.brightness, 0, 10,
           "A factor from 1 - x (but not below 0) to 1 + x for the brightness; 0 is off.\n"
           "The changes of colour are made in random order."),
    NUMBER("data.augment.color_jitter.contrast", data.augment.color_jitter.contrast, 0, 10,
           "The same for the contrast, around the mean of the picture."),
    NUMBER("data.augment.color_jitter.saturation", data.augment.color_jitter.saturation, 0, 10,
           "The same for the saturation; grey images stay as they are."),
    NUMBER("data.augment.color_jitter.hue", data.augment.color_jitter.hue, 0, 0.5,
           "The hue turns by up to this share of the colour circle, either way."),
    SECTION("data.augment.random_erasing", "A random box that is erased."),
    NUMBER("data.augment.random_erasing.probability", data.augment.random_erasing.probability,
           0, 1,
           "Probability that a box of the image becomes the mean colour, as with\n"
           "torchvision's RandomErasing after Normalize."),
    PAIR("data.augment.random_erasing.scale", data.augment.random_erasing, scale, 0, 1,
         "Least and largest share of the image's area."),
    PAIR("data.augment.random_erasing.ratio", data.augment.random_erasing, ratio, 0.01, 100,
         "Least and largest height / width of the box."),
    NUMBER("data.augment.mixup", data.augment.mixup, 0, 100,
           "Blend each batch with itself reversed, by a share drawn from Beta(x, x); images\n"
           "learn from both labels by their shares.\n"
           "0 is off."),
    NUMBER("data.augment.cutmix", data.augment.cutmix, 0, 100,
           "The same, but by swapping a box.\n"
           "With mixup too, each batch has one of them, drawn at random."),
    SECTION("data.synthetic", "The shape of generated images."),
    INT("data.synthetic.height", data.synthetic.height, 1, 1024, "Rows of an image."),
    INT("data.synthetic.width", data.synthetic.width, 1, 1024, "Columns of an image."),
    INT("data.synthetic.channels", data.synthetic.channels, 1, OMQ_MAX_CHANNELS,
        "Channels of an image."),
    INT("data.synthetic.classes", data.synthetic.classes, 2, 1000, "Classes."),
    INT("data.synthetic.train", data.synthetic.n_train, 1, 10000000, "Training images."),
    INT("data.synthetic.test", data.synthetic.n_test, 1, 10000000, "Test images."),

    SECTION("model", "The network."),
    STRING("model.arch", model.arch, false,
           "Name of the architecture: lenet5; resnet8, resnet20, resnet32, resnet44,\n"
           "resnet56, vgg11 and vgg16 for small images; resnet18, resnet34, resnet50 and\n"
           "mobilenet_v2 for large ones.\n"
           "Layers have torchvision's names, or those of the best-known code."),
    STRING("model.onnx", model.onnx, false,
           "ONNX file of a network in floating point, in place of model.arch, which is\n"
           "required without it: its graph and its weights, which are loaded as those of\n"
           "init are."),
    NUMBER("model.width", model.width, 0.0625, 16,
           "Multiplier of all channel counts.\n"
           "Those of mobilenet_v2 are multiples of 8."),
    WORD("model.shortcut", model.shortcut, omq_shortcut, shortcut_words,
         "Of resnet8 to resnet56, what a block adds where the shape changes: B, a\n"
         "convolution of its input; A, every second pixel of it, with channels of zeros."),

    SECTION("quant", "How weights and activations are quantized."),
    WORD("quant.method", quant.method, omq_quant_method, method_words,
         "The method: omq, or for comparison one of its rivals, by the quantizers of\n"
         "its paper on the same network.\n"
         "Those need view off, grid auto and weight_steps layer."),
    WORD("quant.view", quant.view, omq_view, view_words,
         "What each width changes in the shared weights before they are quantized:\n"
         "nothing, or offsets of its own, each shared by neighbouring input channels\n"
         "as the coarsest scale of a Haar wavelet is."),
    INT("quant.levels", quant.levels, 0, OMQ_MAX_LEVELS,
        "Levels of that wavelet: an offset is shared by 2^levels input channels;\n"
        "0 is no wavelet: every weight has an offset."),
    BOOL("quant.detach", quant.detach,
         "With view offsets: where a width has offsets it learns by them, and moves only\n"
         "that part of the weights that it shares which no offset reaches; with levels\n"
         "0, nothing."),
    INT("quant.view_max_bits", quant.view_max_bits, 0, 8,
        "Largest width of weights that has a view, and its parameters; 0 is any."),
    WORD("quant.grid", quant.grid, omq_grid_kind, grid_words,
         "Weight codes: midrise has no zero and 1 to 7 bits, symmetric has 2 to 8 bits\n"
         "(first_last_bits 8 is symmetric beside midrise, too),\n"
         "auto takes midrise up to 3 bits and symmetric above."),
    WORD("quant.weight_steps", quant.weight_steps, omq_steps, steps_words,
         "One learned step a layer or one an output channel."),
    INT("quant.first_last_bits", quant.first_last_bits, 0, 8,
        "Bits of the first convolution and the last linear layer; 0 is as all others."),
    NUMBER("quant.offset_decay", quant.offset_decay, 0, 1, "Weight decay of the offsets."),

    SECTION("train", "How the model learns."),
    INT("train.epochs", train.epochs, 0, 100000,
        "Passes over the training images.\n"
        "0 trains nothing: every precision is calibrated, from the weights in floating\n"
        "point and a few images."),
    INT("train.batch_size", train.batch_size, 1, 65536, "Images a step."),
    WORD("train.optimizer", train.optimizer, omq_optimizer, optimizer_words,
         "Stochastic gradient descent with momentum, or Adam."),
    NUMBER("train.lr", train.lr, 0, 10, "Highest learning rate."),
    NUMBER("train.momentum", train.momentum, 0, 0.9999, "Momentum; of Adam, the first beta."),
    BOOL("train.nesterov", train.nesterov, "Nesterov momentum, for sgd."),
    NUMBER("train.beta2", train.beta2, 0, 0.999999, "Second beta of Adam."),
    NUMBER("train.weight_decay", train.weight_decay, 0, 1,
           "Weight decay; steps, offsets, biases and batch norm have none of it."),
    NUMBER("train.step_lr", train.step_lr, 0, 100,
           "Learning rate of quantizer steps, times lr."),
    WORD("train.schedule", train.schedule, omq_lr_schedule, schedule_words,
         "The learning rate falls as a cosine to min_lr, or by gamma at each milestone."),
    NUMBER("train.warmup_epochs", train.warmup_epochs, 0, 100000,
           "Epochs, or a part of one, in which the learning rate rises from a hundredth."),
    NUMBER("train.min_lr", train.min_lr, 0, 10,
           "Last learning rate of the cosine; the least that schedule step falls to."),
    LIST("train.milestones", OMQ_CONF_INTS, train.milestones, train.n_milestones, 1, 100000,
         "Epochs after which schedule step lowers the learning rate, ascending."),
    NUMBER("train.gamma", train.gamma, 0, 1, "Factor of the learning rate at a milestone."),
    INT("train.widths_per_step", train.widths_per_step, 0, OMQ_MAX_PRECISIONS,
        "Precisions that learn in a step: the highest and others drawn at random,\n"
        "each in proportion to 1/bits; 0 is all.\n"
        "The default is all of them where bits lists fewer."),
    WORD("train.batches", train.batches, omq_batches, batches_words,
         "Whether each precision of a step learns from a batch of its own, so that\n"
         "the shared weights see several, or all from one, which, with distill: 0.5,\n"
         "is better where training is long for the number of images.\n"
         "The default is shared where distill is not 0."),
    NUMBER("train.highest_first", train.highest_first, 0, 1,
           "Share of the epochs, rounded down, in which only the highest precision\n"
           "learns; the others then start from it."),
    NUMBER("train.views_last", train.views_last, 0, 10,
           "Epochs that follow, as a share of train.epochs, rounded down, in which only\n"
           "precisions that have a view learn, and only what is theirs alone: offsets,\n"
           "batch norm and steps.\n"
           "All others stay as they are.\n"
           "A run that is done can have them afterwards, by --resume."),
    NUMBER("train.views_lr", train.views_lr, 0, 100,
           "Learning rate at the beginning of those epochs, times lr; it falls as a cosine."),
    NUMBER("train.distill", train.distill, 0, 1,
           "Share of the loss that follows the output of a higher precision\n"
           "instead of the labels; more than 0 needs batches: shared."),
    WORD("train.teacher", train.teacher, omq_teacher, teacher_words,
         "Which one that is: the highest of a step, or for each the next higher."),
    LIST("train.loss_weights", OMQ_CONF_NUMBERS, train.loss_weights, train.n_loss_weights, 0, 1000,
         "Weight of the loss of each entry of bits; empty is 1 for each."),
    NUMBER("train.label_smoothing", train.label_smoothing, 0, 0.9, "Label smoothing."),
    NUMBER("train.clip_norm", train.clip_norm, 0, 1000000,
           "Largest norm of the gradients; 0 is no limit."),
    NUMBER("train.bn_momentum", train.bn_momentum, 0.0001, 1,
           "Share of a batch in the running statistics of batch norm;\n"
           "a precision that learns in one step of n makes up for n."),
    INT("train.bn_batches", train.bn_batches, 0, 1000000,
        "Batches, at most those of an epoch, over which the statistics of batch norm are\n"
        "taken anew, for every precision when it has learned; 0 keeps the running ones."),
    INT("train.calibration_images", train.calibration_images, 1, 1000000,
        "Training images, at most, with which precisions are calibrated; fewer where\n"
        "the activations of that many would take more than a GiB."),
    INT("train.eval_every", train.eval_every, 1, 100000, "Epochs between evaluations."),
    INT("train.save_every", train.save_every, 1, 100000, "Epochs between checkpoints."),
};

enum { N_KEYS = sizeof(omq_conf_keys) / sizeof(omq_conf_keys[0]) };
_Static_assert((int)N_KEYS <= (int)OMQ_CONF_MAX_KEYS, "raise OMQ_CONF_MAX_KEYS");
const int omq_conf_n_keys = N_KEYS;

static void set_pair(double pair[2], int *n, double lo, double hi)
{
    pair[0] = lo;
    pair[1] = hi;
    *n = 2;
}

void omq_config_default(struct omq_config *c)
{
    memset(c, 0, sizeof(*c)); /* padding too: equal configurations are equal bytes */
    c->seed = 1;
    c->n_precisions = 8;
    for (int i = 0; i < 8; i++)
        c->precisions[i] = (struct omq_precision){8 - i, 8 - i};

    c->init.strict = true;
    c->init.bn_eps = 1e-5;

    c->data.workers = 1;
    set_pair(c->data.augment.random_resized_crop.scale,
             &c->data.augment.random_resized_crop.n_scale, 0.08, 1);
    set_pair(c->data.augment.random_resized_crop.ratio,
             &c->data.augment.random_resized_crop.n_ratio, 3.0 / 4, 4.0 / 3);
    set_pair(c->data.augment.random_erasing.scale, &c->data.augment.random_erasing.n_scale, 0.02,
             0.33);
    set_pair(c->data.augment.random_erasing.ratio, &c->data.augment.random_erasing.n_ratio, 0.3,
             3.3);
    c->data.synthetic.height = 32;
    c->data.synthetic.width = 32;
    c->data.synthetic.channels = 3;
    c->data.synthetic.classes = 10;
    c->data.synthetic.n_train = 2048;
    c->data.synthetic.n_test = 512;

    c->model.width = 1.0;

    c->quant.view = OMQ_VIEW_OFFSETS;
    c->quant.levels = 1;
    c->quant.view_max_bits = 1;
    c->quant.detach = true;
    c->quant.first_last_bits = 8;
    c->quant.offset_decay = 1e-4;

    c->train.epochs = 10;
    c->train.batch_size = 128;
    c->train.lr = 0.1;
    c->train.momentum = 0.9;
    c->train.nesterov = true;
    c->train.beta2 = 0.999;
    c->train.weight_decay = 5e-4;
    c->train.step_lr = 0.1;
    c->train.warmup_epochs = 0.5;
    c->train.gamma = 0.1;
    c->train.widths_per_step = 4;
    c->train.highest_first = 0.4;
    c->train.views_last = 0.4;
    c->train.views_lr = 0.5;
    c->train.clip_norm = 5;
    c->train.bn_momentum = 0.1;
    c->train.bn_batches = 64;
    c->train.calibration_images = 512;
    c->train.eval_every = 1;
    c->train.save_every = 1;
}

const char *omq_conf_format_word(int format) { return format_words[format]; }
