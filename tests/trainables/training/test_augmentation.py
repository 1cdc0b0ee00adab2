import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.config.trial import AugmentationSettings
from trainables.training.augmentation import Augmentation

COUNT = 300
MEAN = np.array([99.6, 20.2])


def pictures(height: int = 6, width: int = 5) -> Tensor:
    return torch.randint(0, 256, (COUNT, 2, height, width), dtype=torch.uint8, generator=torch.manual_seed(0))


def everything() -> Tensor:
    return torch.arange(COUNT)


def shifted(image: Tensor, down: int, right: int) -> Tensor:
    """Return the picture cut from a larger one that is filled with the mean; written in the plainest way."""
    channels, height, width = image.shape
    result = torch.empty_like(image)
    for channel in range(channels):
        for y in range(height):
            for x in range(width):
                inside = 0 <= y + down < height and 0 <= x + right < width
                result[channel, y, x] = image[channel, y + down, x + right] if inside else round(MEAN[channel])
    return result


def test_without_flip_and_crop_pictures_stay_as_they_are() -> None:
    augmentation = Augmentation(AugmentationSettings(views=8), COUNT, mean=MEAN)
    images = pictures()
    assert augmentation.views == 1
    assert augmentation.apply(images, everything(), 0) is images


@pytest.mark.parametrize("flip", [False, True])
def test_every_view_is_a_flip_and_a_shift_within_the_padding(flip: bool) -> None:
    augmentation = Augmentation(AugmentationSettings(flip=flip, crop_padding=2, views=2), COUNT, mean=MEAN)
    images = pictures()[:25]
    seen = set()
    for view in range(2):
        for image, result in zip(images, augmentation.apply(images, torch.arange(25), view), strict=True):
            matches = [
                (flipped, down, right)
                for flipped in (False, True)
                for down in range(-2, 3)
                for right in range(-2, 3)
                if torch.equal(shifted(image.flip(2) if flipped else image, down, right), result)
            ]
            assert len(matches) == 1
            seen.add(matches[0])
    assert {flipped for flipped, _, _ in seen} == ({False, True} if flip else {False})
    assert len(seen) > 15


def test_flip_alone_mirrors_about_half_of_the_pictures() -> None:
    augmentation = Augmentation(AugmentationSettings(flip=True, views=1), COUNT, mean=MEAN)
    images = pictures()
    result = augmentation.apply(images, everything(), 0)
    mirrored = (result == images.flip(3)).flatten(1).all(dim=1)
    assert torch.equal(result[~mirrored], images[~mirrored])
    assert 0.4 < mirrored.float().mean() < 0.6


def test_all_shifts_are_equally_likely() -> None:
    marker = torch.zeros(20_000, 1, 9, 9, dtype=torch.uint8)
    marker[:, :, 4, 4] = 255
    augmentation = Augmentation(AugmentationSettings(crop_padding=2, views=1), 20_000, mean=np.zeros(1))
    places = augmentation.apply(marker, torch.arange(20_000), 0).float().mean(dim=(0, 1)) / 255
    expected = torch.zeros(9, 9)
    expected[2:7, 2:7] = 1 / 25
    torch.testing.assert_close(places, expected, atol=0.006, rtol=0)


def test_a_pictures_view_depends_on_nothing_but_seed_view_and_index() -> None:
    settings = AugmentationSettings(flip=True, crop_padding=1, views=3, seed=5)
    images = pictures()
    whole = Augmentation(settings, COUNT, mean=MEAN).apply(images, everything(), 2)
    some = torch.tensor([7, 3, 99, 7])
    more_views = settings.model_copy(update={"views": 7})
    torch.testing.assert_close(Augmentation(more_views, 100, mean=MEAN).apply(images[some], some, 2), whole[some])


@pytest.mark.parametrize("other", [{"view": 1}, {"seed": 1}])
def test_another_view_or_seed_gives_other_pictures(other: dict[str, int]) -> None:
    images = pictures()

    def view(view: int = 0, seed: int = 0) -> Tensor:
        settings = AugmentationSettings(flip=True, crop_padding=2, views=2, seed=seed)
        return Augmentation(settings, COUNT, mean=MEAN).apply(images, everything(), view)

    assert torch.equal(view(), view())
    same = (view() == view(**other)).flatten(1).all(dim=1).float().mean()
    assert same < 0.1


def test_the_pictures_given_are_not_changed() -> None:
    images = pictures()
    before = images.clone()
    Augmentation(AugmentationSettings(flip=True, crop_padding=1), COUNT, mean=MEAN).apply(images, everything(), 0)
    assert torch.equal(images, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_views_as_the_cpu() -> None:
    settings = AugmentationSettings(flip=True, crop_padding=2)
    images = pictures()
    on_cpu = Augmentation(settings, COUNT, mean=MEAN).apply(images, everything(), 3)
    on_gpu = Augmentation(settings, COUNT, mean=MEAN, device="cuda").apply(images.cuda(), everything().cuda(), 3)
    assert torch.equal(on_cpu, on_gpu.cpu())
