"""The three styles of the procedural painter, named after those of AI-ArtBench: palettes, composition and strokes."""

import numpy as np
from PIL import Image

from artdetect.demo_data.painter import CANVAS, Array, Easel, curve, mix, pigment, pigments, rgb, waviness

#            sky top, sky low, glow, far hill, tree shade, tree light, ground, ground light, accent, cloud
_DAYLIGHTS = [
    rgb(text)
    for text in (
        "5f8fc4 c9dbe6 fff3d0 7f93b4 2f5a45 8fae5a 6f8f4a c2c46a d8483a f4efe6",  # noon, poppies
        "6a6fa8 f2b79a ffd98a 7d6f9a 3a3f5c 9a7f6a 7a6a72 d9a27a f0e0b0 f7c8b4",  # evening
        "8fb0b8 dfe3d2 fff6da 9ab0ac 4f6f62 a3b27c 8fa06a d6d3a0 c98fb0 f2f0ea",  # mist, lilac
        "3f6fa0 a9cbd0 f9e3a0 5f7f8a 24463c 6f9a4a b08f3f ecc95a e07a30 e6ecec",  # harvest
        "4a5590 c58fa8 ffc46a 5a4f86 2c3560 6f6f9a 3f4a78 a884a8 ff9a50 d8a0b0",  # dusk
    )
]


def impressionism(rng: np.random.Generator) -> Image.Image:
    """A landscape in dabs: sky, far hills, trees, then a river, a meadow or stacks of hay."""
    top, low, glow, hill, shade, light, ground, sunny, accent, cloud = _DAYLIGHTS[
        rng.integers(len(_DAYLIGHTS))
    ] + rng.normal(0, 9, (10, 3))
    horizon, river = rng.uniform(0.3, 0.64), rng.random() < 0.5
    sun_x, sun_y = rng.uniform(0.08, 0.92), horizon * rng.uniform(0.15, 0.85)
    clouds, ridge, patch = waviness(rng, 1.2), waviness(rng, rng.uniform(0.5, 1.1)), waviness(rng, 1.6)
    lift, cover, shore = rng.uniform(0.03, 0.14), rng.uniform(-0.5, 0.5), rng.uniform(0.02, 0.2)
    trees = []  # (x, y, half width, half height)
    for _ in range(rng.integers(1, 6)):
        tall, foot = rng.uniform(0.07, 0.24), horizon + rng.uniform(0, 0.1)
        trees.append((rng.uniform(0, 1), foot - tall, tall * rng.choice([0.25, 0.8, 1.1]), tall))
    stacks = [(rng.uniform(0.1, 0.9), horizon + rng.uniform(0.1, 0.28), s) for s in rng.uniform(0.06, 0.16, 2)]

    def scene(x: Array, y: Array) -> tuple[Array, Array]:
        """Colour [N, 3] and stroke angle [N] at the points x, y [N]."""
        mirrored = (y > horizon + shore * (0.4 + 0.5 * patch(x, y * 0))) & river
        height = np.where(mirrored, 2 * horizon - y + 0.06, y)
        colour = mix(top, low, np.clip(height / horizon, 0, 1) ** 1.3)
        colour = mix(colour, cloud, (clouds(x, 2.4 * height) + cover) * 0.9)
        colour = mix(colour, glow, np.exp(-(((x - sun_x) / 0.16) ** 2) - ((height - sun_y) / 0.12) ** 2))
        angle = 0.5 * clouds(x, height)
        far = height > horizon - lift * (1 + ridge(x, x * 0))
        colour = np.where(far[:, None], mix(hill, low, 0.35 + 0.3 * patch(x, height)), colour)
        near = (y > horizon) & ~mirrored
        depth = (y - horizon) / (1 - horizon)
        field = mix(mix(ground, sunny, 0.5 + 0.8 * patch(x, 2 * y)), shade, 0.5 * depth - 0.15)
        colour = np.where(near[:, None], field, colour)
        angle = np.where(near & (depth > 0.25), -1.3 + 0.5 * patch(x, y), angle)
        for tx, ty, wide, tall in trees:
            across, up = (x - tx) / wide, (height - ty) / tall
            inside = across**2 + up**2 < 1 + 0.35 * patch(3 * x, 3 * y)
            lit = 0.45 - 0.5 * up + 0.45 * np.sign(sun_x - tx) * across + 0.4 * patch(5 * x, 5 * y)
            colour = np.where(inside[:, None], mix(shade, light, lit), colour)
            angle = np.where(inside, 1.3 * across + 1.2, angle)
        for sx, sy, size in [] if river else stacks:
            across, up = (x - sx) / size, (sy - y) / size
            inside = (np.abs(across) < 0.9 - 0.45 * np.clip(up, 0, 2)) & (up > -0.2 - 0.1 * across**2)
            lit = 0.5 + 0.7 * np.sign(sun_x - sx) * across + 0.2 * patch(6 * x, 6 * y)
            colour = np.where(inside[:, None], mix(shade * 0.6 + hill * 0.4, sunny * 0.5 + glow * 0.5, lit), colour)
            angle = np.where(inside, 1.2 * across + 1.57, angle)
        colour = np.where(mirrored[:, None], mix(colour, ground, 0.22) * 0.93, colour)
        return colour, np.where(mirrored, 0.0, angle)

    easel = Easel(mix(low, ground, 0.5))
    vivid = rng.uniform(6, 17)
    for count, size in ((420, 0.11), (1100, 0.05), (1500, 0.026)):
        x, y = rng.uniform(-0.02, 1.02, (2, count))
        colour, angle = scene(x, y)
        colour = colour + rng.normal(0, vivid, (count, 1)) + rng.normal(0, vivid * 0.7, (count, 3))
        length, width = size * rng.uniform(0.7, 1.7, count), size * rng.uniform(0.2, 0.42, count)
        angle, bend = angle + rng.normal(0, 0.25, count), rng.normal(0, 0.12, count)
        easel.brush(x, y, angle, length, width, bend, pigments(colour, rng.uniform(0.6, 1, count)))
    spots = int(rng.integers(30, 160))
    x, y = rng.uniform(0, 1, spots), horizon + (1 - horizon) * rng.uniform(0.15, 1, spots) ** 0.8
    inks = pigments((glow if river else accent) + rng.normal(0, 14, (spots, 3)), 0.9)
    spread = 0.008 + 0.016 * (y - horizon)
    easel.brush(x, y, 0 * x, spread * (3 if river else 1.2), spread * (0.5 if river else 1), 0 * x, inks)
    return easel.painting


#         paper, sky, deep sky, mountain, land, water light, water deep, line, accent, foam
_PRINTS = [
    rgb(text)
    for text in (
        "efe3c8 e6d3ae 5b86a8 4a6690 8ea08a 8fb3c2 2b5580 1f2a44 c8452f f4eddc",  # Prussian blue
        "f0dfc0 f0b98a b8503f 6b4f5a 9a7f6a a8b8a8 3f6f7a 2a2630 d8a23a f6ead0",  # red dawn
        "e8e0cc b9c6c0 33507a 2f4468 5f7f78 6f9ab0 1f3f6a 16203a b83a30 eee8d8",  # night
        "f2e4cc f0d0b8 d88f86 7a8fa0 a3ac84 a9c4bc 4a7f90 33303c a83248 f7efe0",  # blossom
        "ead9b4 d9c48c 6f7a4a 5a6a4a a89a5a 9fb08a 3f6a5a 2a2a20 c2562a f3e8cc",  # autumn
    )
]


def ukiyo_e(rng: np.random.Generator) -> Image.Image:
    """A woodblock print: graded sky, a mountain, rows of waves or fields, boats, a pine branch, a cartouche."""
    paper, sky, deep, rock, land, pale, sea, line, accent, foam = _PRINTS[rng.integers(len(_PRINTS))] + rng.normal(
        0, 7, (10, 3)
    )
    horizon, key, watery = rng.uniform(0.4, 0.72), rng.uniform(0.004, 0.006), rng.random() < 0.65
    height = np.linspace(0, 1, CANVAS)[:, None]
    easel = Easel(mix(mix(deep, sky, height / rng.uniform(0.12, 0.3)), paper, (height - 0.1) / horizon))
    dark, t = pigment(line), np.linspace(-0.02, 1.02, 160)

    def ground(edge: Array, colour: Array) -> None:
        easel.fill(np.c_[np.r_[t, 1.02, -0.02], np.r_[edge, 1.1, 1.1]], pigment(colour))
        easel.ribbon(np.c_[t, edge], key, dark)

    if rng.random() < 0.65:
        x, y, radius = rng.uniform(0.12, 0.88), rng.uniform(0.12, 0.34), rng.uniform(0.05, 0.12)
        easel.disc(x, y, radius, pigment(accent if rng.random() < 0.6 else foam))
    for _ in range(rng.integers(0, 4)):  # bands of mist
        x, y, wide, tall = rng.uniform(-0.2, 0.8), rng.uniform(0.1, horizon), rng.uniform(0.3, 0.7), 0.03
        easel.draw.rounded_rectangle([v * CANVAS for v in (x, y, x + wide, y + tall)], 8, fill=pigment(paper, 0.85))
    if rng.random() < 0.75:  # the mountain, with a jagged cap of snow
        x, tall, wide, flat = (*rng.uniform((0.15, 0.2, 0.3, 0.015), (0.85, 0.38, 0.65, 0.04)),)
        s = np.linspace(0, 1, 40)
        side = np.c_[flat + wide * s**1.3, horizon - tall * (1 - s**0.8)]
        slope = np.concatenate([side[::-1] * [-1, 1], side]) + np.array([x, 0])
        cap = int(rng.integers(8, 16))
        easel.fill(slope, pigment(rock))
        teeth = np.c_[np.linspace(side[cap, 0], -side[cap, 0], 13)[1:-1] + x, side[cap, 1] + 0.05 * rng.random(11)]
        teeth[::2, 1] -= 0.04
        easel.fill(np.concatenate([slope[39 - cap : 41 + cap], teeth]), pigment(foam))
        easel.ribbon(slope, key, dark)
    hills = waviness(rng, 0.8, 5)
    ground(horizon - 0.04 + 0.045 * hills(t, 0 * t), land)
    rows = int(rng.integers(3, 7))
    for row in range(rows):
        near = (row + 0.5) / rows
        base = horizon + (1 - horizon) * row / rows
        swell, count, shift = 0.02 + 0.06 * near * rng.random(), rng.uniform(2, 5) / (0.5 + near), rng.random()
        crest = np.abs(np.sin(np.pi * (count * t + shift + 0.1 * hills(t, t * 0 + row)))) ** 0.7
        edge = base + swell * crest if watery else base + 0.05 * hills(0.7 * t, t * 0 + 3 * row)
        ground(edge, mix(pale, sea, near + rng.uniform(-0.3, 0.3)) if watery else mix(land, paper, rng.random() * 0.7))
        for k in range(1, 4):  # ripples and furrows
            ink = pigment(foam if k == 1 else line, 0.95 if k == 1 else 0.45) if watery else pigment(line, 0.25)
            reach = (
                edge
                + k * (0.009 + 0.012 * near)
                + (0.5 * k * swell * (1 - crest) if watery else 0.01 * hills(3 * t, t))
            )
            easel.ribbon(np.c_[t, reach], key * (2.2 if k == 1 and watery else 0.8), ink)
        if watery and rng.random() < 0.4:  # a boat
            x, size = rng.uniform(0.1, 0.9), 0.07 + 0.1 * near
            hull, sail = (
                [(-1, -0.35), (1, -0.3), (0.6, 0.15), (-0.6, 0.15)],
                [(-0.3, -0.4), (-0.25, -1.6), (0.5, -1.5), (0.45, -0.4)],
            )
            for shape, colour in ((sail, foam), (hull, accent * 0.75)):
                outline = np.array(shape) * size + (x, base + 0.02)
                easel.fill(outline, pigment(colour))
                easel.ribbon(outline[[0, 1, 2, 3, 0]], key, dark)
        elif not watery:  # trees along the bank
            for x in rng.uniform(0, 1, rng.integers(0, 7)):
                size = (0.02 + 0.05 * near) * rng.uniform(0.7, 1.3)
                for dx, dy in ((-0.7, 0), (0.7, 0), (0, -0.7)):
                    easel.disc(x + dx * size, base - size * (0.9 - dy), size * 0.85, pigment(mix(rock, line, 0.35)))
    if rng.random() < 0.5:  # a branch that reaches in from one side
        hand, y = rng.choice([0, 1]), rng.uniform(0.1, 0.35)
        place = curve((-0.05, y), (0.2, y + 0.12), (0.3, y - 0.12), (rng.uniform(0.35, 0.7), y + 0.05))
        place[:, 0] = np.abs(hand - place[:, 0])
        easel.ribbon(place, np.linspace(0.03, 0.006, 28), dark)
        petals = place[rng.integers(4, 28, 60)] + rng.normal(0, 0.022, (60, 2))
        tuft = accent if rng.random() < 0.4 else land * 0.55
        for x, y in petals:
            easel.disc(x, y, rng.uniform(0.006, 0.016), pigment(tuft + rng.normal(0, 10, 3)))
    x, y = rng.choice([0.045, 0.885]), rng.uniform(0.04, 0.1)
    box = [v * CANVAS for v in (x, y, x + 0.065, y + 0.2)]
    easel.draw.rectangle(box, fill=pigment(mix(accent, paper, rng.choice([0.1, 0.9]))), outline=dark, width=2)
    for k in range(12):  # strokes that imitate characters
        a, b = rng.uniform(0.012, 0.053, 2), y + 0.02 + 0.0145 * k + rng.uniform(-0.01, 0.01, 2)
        easel.ribbon(np.c_[x + a, b], key, dark)
    return easel.painting


#         field, halo, ring, stem, leaf, petal, petal light, line, gold, frame
_POSTERS = [
    rgb(text)
    for text in (
        "d9c79a efe2bd b5763f 55683a 7f8f4f b8453a e8a06a 3a2a20 c99a3a 5f6f52",  # olive and poppy
        "7fa39a dfe6cf 3f6f70 2f5548 5f8f6a e9dfc8 f7efe0 20302f d0b060 2f5058",  # teal and lily
        "c9a9a0 f0dccb 8f4f5a 5a5f3f 8a8f5f 7a5a9a c0a0d0 35202a c8a050 6a3f4a",  # rose and iris
        "2f4a5a 8fb0a8 c9a050 8fa060 5f8a6a e0a83f f4d890 101c26 d8b058 b08a40",  # midnight and sunflower
        "e4d3ae c9dac8 d08a4a 6a7a40 9aa860 d8708a f4b8b8 4a3024 b8863a a85f3a",  # parchment and peony
    )
]


def art_nouveau(rng: np.random.Generator) -> Image.Image:
    """A poster: a halo behind flowers on whiplash stems, tendrils, and a frame with an arch."""
    field, halo, ring, stem, leaf, petal, light, line, gold, frame = _POSTERS[rng.integers(len(_POSTERS))] + rng.normal(
        0, 8, (10, 3)
    )
    easel = Easel(mix(field, halo, np.linspace(0, rng.uniform(0, 0.6), CANVAS)[:, None]))
    dark, key = pigment(line), rng.uniform(0.006, 0.009)
    cx, cy, radius = rng.uniform(0.3, 0.7), rng.uniform(0.28, 0.5), rng.uniform(0.2, 0.34)

    def outlined(points: Array, width: Array | float, colour: Array) -> None:
        easel.ribbon(points, np.asarray(width) + 2 * key, dark)
        easel.ribbon(points, width, pigment(colour))

    for r, colour in ((0.055, line), (0.048, ring), (0.012, line), (0.005, gold), (0, halo)):
        easel.disc(cx, cy, radius + r, pigment(colour))
    beads = int(rng.integers(14, 40))
    for a in np.arange(beads) * 2 * np.pi / beads:
        easel.disc(cx + (radius + 0.03) * np.cos(a), cy + (radius + 0.03) * np.sin(a), 0.011, pigment(gold))
    if rng.random() < 0.5:  # rays
        for a in np.arange(beads) * 2 * np.pi / beads:
            ray = np.outer([0.1, radius], [np.cos(a), np.sin(a)]) + np.array([cx, cy])
            easel.ribbon(ray, np.array([0.002, 0.02]), pigment(mix(halo, gold, 0.4)))
    heads = []
    foot = rng.uniform(0.3, 0.7)
    for lean in rng.permutation([-1, 1, -0.5, 0.5, 0.1])[: rng.integers(2, 6)]:
        head = np.array([cx + lean * radius * rng.uniform(0.7, 1.3), cy + rng.uniform(-0.6, 0.5) * radius])
        sway = rng.uniform(0.15, 0.45) * rng.choice([-1, 1])
        stalk = curve((foot + 0.1 * lean, 1.02), (foot + sway, 0.8), (head[0] - sway, head[1] + 0.3), head)
        for at in rng.integers(5, 20, rng.integers(1, 4)):  # leaves
            x, y = stalk[at]
            side, long = rng.choice([-1, 1]), rng.uniform(0.1, 0.24)
            blade = curve(
                (x, y),
                (x + side * long * 0.5, y + 0.03),
                (x + side * long, y - 0.3 * long),
                (x + side * long * 0.9, y - long),
            )
            outlined(blade, 0.05 * np.sin(np.linspace(0, np.pi, 28)) ** 0.8 * long / 0.16, leaf + rng.normal(0, 8, 3))
            easel.ribbon(blade, key * 0.7, dark)
        outlined(stalk, np.linspace(0.022, 0.01, 28), stem)
        heads.append(head)
    for _ in range(rng.integers(2, 6)):  # tendrils that end in a spiral
        turn = np.linspace(0, rng.uniform(2.5, 4.5) * np.pi, 70)
        reach = rng.uniform(0.08, 0.17) * np.exp(-turn / 5)
        start, side = rng.uniform(0.1, 0.9, 2), rng.choice([-1, 1])
        coil = start + np.stack([side * reach * np.cos(turn), reach * np.sin(turn)], -1)
        easel.ribbon(coil, np.linspace(0.014, 0.004, 70), pigment(stem if rng.random() < 0.6 else gold))
    count, curl = int(rng.integers(5, 10)), rng.uniform(-0.2, 0.2)
    spread, plump = rng.uniform(0.07, 0.12), rng.uniform(2.2, 4.2) / count
    for x, y in heads:
        big, spin = spread * rng.uniform(0.75, 1.25), rng.uniform(0, 2 * np.pi)
        for layer, colour in ((1.0, petal), (0.62, light)):
            a = spin + layer + np.arange(count) * 2 * np.pi / count
            far = 0.55 * big * layer
            inks = [ink for fill in pigments(colour + rng.normal(0, 10, (count, 3))) for ink in (dark, fill)]
            a, rim = np.repeat(a, 2), np.tile([1.7 * key, 0], count)  # each petal: outline, then colour
            length, width = big * layer + rim, big * layer * plump + rim
            easel.brush(x + far * np.cos(a), y + far * np.sin(a), a, length, width, 0 * a + curl, inks)
        easel.disc(x, y, 0.22 * big + key, dark)
        easel.disc(x, y, 0.22 * big, pigment(gold))
    band = rng.uniform(0.03, 0.06)
    if rng.random() < 0.7:  # the arch: the two upper corners are cut
        for side in (0, 1):
            arc = curve((0, 0.42), (0, 0.1), (0.2, 0), (0.5, 0))
            corner = np.abs([side, 0] - np.concatenate([arc, [[0, 0]]]))
            easel.fill(corner, pigment(frame))
            easel.ribbon(corner[:-1], key * 1.5, pigment(gold))
    for inset, thick, colour in ((0, band, frame), (band, 0.008, gold), (band + 0.008, 0.004, line)):
        box = [inset * CANVAS] * 2 + [(1 - inset) * CANVAS] * 2
        easel.draw.rectangle(box, outline=pigment(colour), width=int(thick * CANVAS))
    return easel.painting


PAINTERS = {"art_nouveau": art_nouveau, "impressionism": impressionism, "ukiyo_e": ukiyo_e}
STYLES = tuple(PAINTERS)
