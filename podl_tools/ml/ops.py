"""
The exact operations that a backend provides.

Layers are described once, in these terms. An operation states values in Z; a backend may compute them with
any kernel that returns the exact integers. *Small* values (forward: sums of absolute terms up to 2**24) and
*wide* values (backward: up to 2**53) may live in different containers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

Tensor = Any  # numpy array or TensorFlow tensor; the latter has no types
Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Ops(ABC):
    """
    Exact arithmetic on one kind of tensor.

    Operators +, -, *, comparisons, & and slices work on the tensors themselves.
    """

    @abstractmethod
    def small(self, values: Tensor) -> Tensor:
        """Put values into the container of forward operands."""

    @abstractmethod
    def wide(self, values: Tensor) -> Tensor:
        """Put values into the container of errors, gradients and weights in training."""

    @abstractmethod
    def round_shift(self, values: Tensor, shift: Tensor | int) -> Tensor:
        """`Rnd(values, shift)`; `shift` is an int or what `shift_operand` made of one."""

    @abstractmethod
    def floor_divide(self, numerator: Tensor, denominator: Tensor) -> Tensor:
        """Integer quotient of wide values below 2**53, rounded down."""

    @abstractmethod
    def clip(self, values: Tensor, low: int, high: int) -> Tensor:
        """Limit values to low..high."""

    @abstractmethod
    def where(self, mask: Tensor, values: Tensor, otherwise: int) -> Tensor:
        """Keep values where `mask` holds, else the integer `otherwise`."""

    @abstractmethod
    def matmul(
        self, left: Tensor, right: Tensor, *, turn_left: bool = False, turn_right: bool = False
    ) -> Tensor:
        """Matrix product (n, k) by (k, m) of one container; `turn_*` transposes an operand first."""

    def add_bias(self, sums: Tensor, bias: Tensor) -> Tensor:
        """Add one value per column, the last axis, to sums of the same container."""
        return sums + bias

    @abstractmethod
    def reshape(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        """C-order reshape; one size may be -1."""

    @abstractmethod
    def transpose(self, values: Tensor, axes: Sequence[int]) -> Tensor:
        """Permute axes."""

    @abstractmethod
    def flip(self, values: Tensor, axes: Sequence[int]) -> Tensor:
        """Reverse along axes."""

    @abstractmethod
    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Join along an axis."""

    @abstractmethod
    def pad_image(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """Put `rows` and `columns` of zeros on both sides of the middle axes of (batch, H, W, C)."""

    @abstractmethod
    def sum(self, values: Tensor, axis: int, *, keep: bool = False) -> Tensor:
        """Sum over one axis; `keep` leaves it with size 1."""

    @abstractmethod
    def max(self, values: Tensor, axis: int) -> Tensor:
        """Maximum over one axis, which stays with size 1."""

    @abstractmethod
    def first(self, mask: Tensor, axis: int) -> Tensor:
        """Mask that keeps only the first true entry along `axis` (each line has one)."""

    @abstractmethod
    def repeat(self, values: Tensor, count: int, axis: int) -> Tensor:
        """Put a new axis of `count` copies at `axis`."""

    @abstractmethod
    def take(self, table: Sequence[int], index: Tensor) -> Tensor:
        """Wide values table[index]."""

    @abstractmethod
    def one_hot(self, labels: Tensor, classes: int) -> Tensor:
        """Wide 0/1 rows of shape (batch, classes)."""

    @abstractmethod
    def zeros_like(self, values: Tensor) -> Tensor:
        """Zeros of the same shape and container."""

    @abstractmethod
    def scan(self, step: Step, carry: Tensor, sequence: Tensor, *, reverse: bool = False) -> Tensor:
        """
        Run `carry, output = step(carry, sequence[t])` over the first axis and stack the outputs in place t.

        Outputs have the carry's container; `reverse` walks from the last t to the first.
        """

    @abstractmethod
    def shift_operand(self, shift: int) -> Tensor:
        """Make `shift` an operand that can change between steps without building a new graph."""

    def fuse(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Let a function that works element by element pass over large tensors once, where that is faster."""
        return function

    def convolve(self, images: Tensor, kernel: Tensor) -> Tensor:
        """
        Convolution with stride 1 and zero padding, as matrix product over patches.

        Parameters
        ----------
        images
            (batch, H, W, C).
        kernel
            (high, wide, C, outputs), both sides odd.

        """
        high, wide, channels, outputs = (int(size) for size in kernel.shape)
        rows = self.patches(images, high, wide)
        product = self.matmul(rows, self.reshape(kernel, (high * wide * channels, outputs)))
        return self.reshape(product, (-1, int(images.shape[1]), int(images.shape[2]), outputs))

    def patches(self, images: Tensor, high: int, wide: int) -> Tensor:
        """One row (i, j, c) of high*wide*C values per output position of a convolution."""
        height, width, channels = (int(size) for size in images.shape[1:])
        padded = self.pad_image(images, high // 2, wide // 2)
        rows = self.concat([padded[:, :, j : j + width] for j in range(wide)], 3)
        return self.reshape(
            self.concat([rows[:, i : i + height] for i in range(high)], 3), (-1, high * wide * channels)
        )

    def convolution_gradient(self, images: Tensor, errors: Any, sides: tuple[int, int]) -> Tensor:
        """
        Gradient of the kernel as a matrix (high*wide*C, outputs), wide.

        Parameters
        ----------
        images
            (batch, H, W, C), small.
        errors
            (batch, H, W, outputs), wide; or what `pooled_errors` made.
        sides
            Height and width of the kernel, both odd.

        """
        rows = self.wide(self.patches(images, *sides))
        return self.matmul(rows, self.reshape(errors, (-1, int(errors.shape[3]))), turn_left=True)

    def convolution_error(self, errors: Any, kernel: Tensor) -> Tensor:
        """
        Error of a convolution's images before it is rounded, wide.

        Parameters
        ----------
        errors
            (batch, H, W, outputs), wide; or what `pooled_errors` made.
        kernel
            (high, wide, C, outputs), wide, both sides odd.

        """
        # The transposed convolution of an odd kernel with stride 1 is the convolution with the turned kernel.
        return self.convolve(errors, self.transpose(self.flip(kernel, (0, 1)), (0, 1, 3, 2)))

    def windows(self, images: Tensor, size: int) -> Tensor:
        """Cut (batch, H, W, C) into windows (batch, H/size, W/size, size*size, C), row-major cells."""
        height, width, channels = (int(length) for length in images.shape[1:])
        cut = self.reshape(images, (-1, height // size, size, width // size, size, channels))
        joined = self.transpose(cut, (0, 1, 3, 2, 4, 5))
        return self.reshape(joined, (-1, height // size, width // size, size * size, channels))

    def from_windows(self, windows: Tensor, size: int) -> Tensor:
        """Reverse of `windows`."""
        height, width, _, channels = (int(length) for length in windows.shape[1:])
        cut = self.reshape(windows, (-1, height, width, size, size, channels))
        joined = self.transpose(cut, (0, 1, 3, 2, 4, 5))
        return self.reshape(joined, (-1, height * size, width * size, channels))

    def max_pool(self, images: Tensor, size: int) -> Tensor:
        """Maximum of each window (batch, H/size, W/size, C)."""
        top = self.max(self.windows(images, size), 3)
        return self.reshape(
            top, (-1, *(int(length) // size for length in images.shape[1:3]), images.shape[3])
        )

    def unpool(self, images: Tensor, least: Tensor, errors: Tensor, size: int) -> Tensor:
        """
        Errors of the images: each window's error goes to its first cell that reaches `least`.

        Parameters
        ----------
        images
            (batch, H, W, C).
        least, errors
            (batch, H/size, W/size, C); the error of a window in which no cell reaches `least` is 0.

        """
        reached = self.windows(images, size) >= self.repeat(least, 1, 3)
        copies = self.repeat(errors, size**2, 3)
        return self.from_windows(self.where(self.first(reached, 3), copies, 0), size)

    def pooled_errors(self, images: Tensor, least: Tensor, errors: Tensor, size: int) -> Any:
        """`unpool` in the form that this backend's products of a convolution want."""
        return self.unpool(images, least, errors, size)
