# SPDX-License-Identifier: Apache-2.0
"""HOW DOES IT LOOK? Both outcomes as maps, side by side, in one PNG."""

from collections import abc
import functools
import json
import os
import pathlib

import matplotlib
from matplotlib import axes
from matplotlib import collections
from matplotlib import colors
from matplotlib import figure
from matplotlib import patches
from matplotlib import path as paths
from matplotlib import patheffects
from matplotlib import ticker
import numpy as np

from sandbox import world as worlds

LAND = pathlib.Path(__file__).parent / 'data' / 'land' / 'land_110m.json'

WIDTH_PX, HEIGHT_PX, DPI = 1840, 1260, 160

PAPER = '#fdfcfa'
SEA = '#eef2f4'
GROUND = '#d5dbd9'
INK = '#1c2733'
FAINT_INK = '#5f6b76'
ALARM = '#c4123f'

# One scale for both maps: warm and pale is near, dark is far. Its lightness
# falls steadily, so it reads without colour vision and in grey.
FARTHEST_MS = 350
RTT_SCALE = colors.Normalize(0, FARTHEST_MS, clip=True)
RTT_COLOURS = colors.ListedColormap(
    matplotlib.colormaps['plasma_r'](np.linspace(0.19, 1, 256))
)

# Keeps arcs apart where they cross.
CASING = (
    patheffects.Stroke(linewidth=2.4, foreground='white', alpha=0.7),
    patheffects.Normal(),
)

# The meridian in the middle; the map's seam is then in the Bering Strait.
MIDDLE_LONGITUDE = 11.5
SOUTH, NORTH = -74, 90

# Where most of the sites and users are, drawn larger: longitudes, latitudes.
EUROPE = (-9.5, 24.0), (42.0, 62.5)

Points = np.ndarray
Projection = abc.Callable[[Points, Points], tuple[Points, Points]]


def draw(
    world: worlds.World,
    outcomes: abc.Mapping[str, abc.Sequence[worlds.Placed]],
    file: str | os.PathLike[str],
) -> None:
    """Draw two outcomes, by name, the first on the left."""
    sheet = figure.Figure(
        (WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor=PAPER
    )
    _heading(sheet, world)
    for column, (name, boots) in enumerate(outcomes.items()):
        left = 0.026 + 0.485 * column
        sheet.text(left, 0.86, name, size=14, weight='bold', color=INK)
        _globe(sheet.add_axes((left, 0.437, 0.463, 0.413)), world, boots)
        _europe(sheet.add_axes((left, 0.385, 0.128, 0.19)), world, boots)
        _headline(sheet, left + 0.148, worlds.summary(boots))
    _legend(sheet.add_axes((0.6, 0.905, 0.374, 0.065)))
    _distribution(sheet.add_axes((0.066, 0.1, 0.908, 0.225)), outcomes)
    _colour_bar(sheet.add_axes((0.066, 0.084, 0.908, 0.012)))
    sheet.savefig(file)


def _heading(sheet: figure.Figure, world: worlds.World) -> None:
    sheet.text(
        0.026,
        0.945,
        f'{len(world.places)} servers, each for the users of one place',
        size=17,
        weight='bold',
        color=INK,
    )
    room = sum(world.room().values())
    sheet.text(
        0.026,
        0.912,
        f'{len(world.sites)} edge sites with room for {room} servers.'
        ' Round-trip times as measured between Azure regions.',
        size=9,
        color=FAINT_INK,
    )


def _legend(ax: axes.Axes) -> None:
    entries = (
        (_mark_user, 'users of a place'),
        (_mark_site, 'edge site'),
        (_mark_down_site, f'{worlds.DOWN_SITE}: down'),
        (
            _mark_old_site,
            f'{worlds.OLD_SITE}: figures {worlds.OLD_AGE.days} days old',
        ),
    )
    for n, (mark, meaning) in enumerate(entries):
        x, y = (0.12, 0.52)[n // 2], (0.75, 0.2)[n % 2]
        mark(ax, x, y)
        ax.text(x + 0.035, y, meaning, size=8, color=INK, va='center_baseline')
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_axis_off()


def _headline(
    sheet: figure.Figure, left: float, summary: worlds.Summary
) -> None:
    cells = (
        (f'{summary.mean_ms:.0f} ms', 'mean'),
        (f'{summary.p95_ms:.0f} ms', '95th percentile'),
        (f'{summary.within_20_ms:.0%}', 'within 20 ms'),
        (f'{summary.within_50_ms:.0%}', 'within 50 ms'),
    )
    for x, (value, meaning) in zip(
        (0, 0.083, 0.175, 0.255), cells, strict=True
    ):
        x += left
        sheet.text(x, 0.41, value, size=14.5, weight='bold', color=INK)
        sheet.text(x, 0.388, meaning, size=8, color=FAINT_INK)


def _globe(
    ax: axes.Axes, world: worlds.World, boots: abc.Sequence[worlds.Placed]
) -> None:
    """The whole world, with every user's arc to the site that serves it."""
    rim = np.linspace(SOUTH, NORTH, 90)
    east = MIDDLE_LONGITUDE + 180 - 1e-6
    west = MIDDLE_LONGITUDE - 180 + 1e-6
    outline = np.column_stack(
        _winkel_tripel(
            np.concatenate((np.full(90, west), np.full(90, east))),
            np.concatenate((rim, rim[::-1])),
        )
    )
    sea = patches.Polygon(outline, closed=True, fc=SEA, ec='none')
    ax.add_patch(sea)
    _map(ax, _winkel_tripel, world, boots)
    for artist in ax.collections:
        artist.set_clip_path(sea)
    ax.set_xlim(outline[:, 0].min(), outline[:, 0].max())
    ax.set_ylim(outline[:, 1].min(), outline[:, 1].max())
    ax.set_aspect('equal')
    ax.set_axis_off()


def _europe(
    ax: axes.Axes, world: worlds.World, boots: abc.Sequence[worlds.Placed]
) -> None:
    (west, east), (south, north) = EUROPE
    ax.set_facecolor(SEA)
    _map(ax, _plain, world, boots)
    ax.set_xlim(west, east)
    ax.set_ylim(south, north)
    ax.set_aspect(1 / np.cos(np.radians((south + north) / 2)))
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color(PAPER)
        spine.set_linewidth(4)


def _map(
    ax: axes.Axes,
    project: Projection,
    world: worlds.World,
    boots: abc.Sequence[worlds.Placed],
) -> None:
    ax.add_collection(
        collections.PathCollection(
            _land(project), fc=GROUND, ec='white', linewidths=0.4
        )
    )
    # Far before near: a short arc is not buried under the long ones.
    for boot in sorted(boots, key=lambda boot: -boot.rtt_ms):
        user, site = world.regions[boot.place], world.regions[boot.site]
        ax.plot(
            *project(*_great_circle(user, site)),
            color=RTT_COLOURS(RTT_SCALE(boot.rtt_ms)),
            linewidth=1.4,
            solid_capstyle='round',
            path_effects=CASING,
        )
    for name in world.places:
        _mark_user(ax, *_where(project, world.regions[name]))
    for name in world.sites:
        mark = _SITE_MARKS.get(name, _mark_site)
        mark(ax, *_where(project, world.regions[name]))


def _mark_user(ax: axes.Axes, x: float, y: float) -> None:
    ax.scatter(x, y, s=11, c=INK, ec='white', lw=0.5, zorder=3)


def _mark_site(ax: axes.Axes, x: float, y: float) -> None:
    ax.scatter(x, y, s=36, marker='D', c='white', ec=INK, lw=1.2, zorder=4)


def _mark_down_site(ax: axes.Axes, x: float, y: float) -> None:
    ax.scatter(x, y, s=52, marker='X', c=ALARM, ec='white', lw=0.8, zorder=4)


def _mark_old_site(ax: axes.Axes, x: float, y: float) -> None:
    ax.scatter(
        x, y, s=130, fc='none', ec=INK, lw=1, ls=(0, (2, 1.2)), zorder=4
    )
    _mark_site(ax, x, y)


_SITE_MARKS = {
    worlds.DOWN_SITE: _mark_down_site,
    worlds.OLD_SITE: _mark_old_site,
}


def _distribution(
    ax: axes.Axes, outcomes: abc.Mapping[str, abc.Sequence[worlds.Placed]]
) -> None:
    """Which share of the users is within how many milliseconds."""
    grid_ms = np.arange(0, FARTHEST_MS + 1)
    shares = {
        name: [
            np.mean([boot.rtt_ms <= limit_ms for boot in boots])
            for limit_ms in grid_ms
        ]
        for name, boots in outcomes.items()
    }
    left, right = shares.values()
    ax.fill_between(grid_ms, left, right, step='post', fc=GROUND, alpha=0.45)
    for (name, share), colour, width in zip(
        shares.items(), (FAINT_INK, INK), (1.6, 2.4), strict=True
    ):
        ax.step(grid_ms, share, where='post', color=colour, lw=width)
        label_ms = max(50, int(np.searchsorted(share, 0.5)))
        ax.annotate(
            name,
            (label_ms, share[label_ms]),
            (8, -5),
            textcoords='offset points',
            size=10,
            weight='bold',
            color=colour,
            va='top',
        )
    for limit_ms in (20, 50):
        ax.axvline(limit_ms, color=FAINT_INK, lw=0.7, ls=(0, (1, 2)))
    ax.set_xlim(0, FARTHEST_MS)
    ax.set_ylim(0, 1.02)
    ax.set_xticks([])
    ax.yaxis.set_major_formatter(ticker.PercentFormatter(1, 0))
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    ax.grid(axis='y', color=GROUND, lw=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, labelsize=8, labelcolor=FAINT_INK)
    ax.set_facecolor('none')
    ax.spines[:].set_visible(False)
    ax.set_title(
        'Share of the places served within so many milliseconds',
        loc='left',
        size=10,
        weight='bold',
        color=INK,
    )


def _colour_bar(ax: axes.Axes) -> None:
    """The scale of the arcs, which is the axis of the distribution too."""
    ax.imshow(
        np.linspace(0, 1, 256)[np.newaxis],
        cmap=RTT_COLOURS,
        extent=(0, FARTHEST_MS, 0, 1),
        aspect='auto',
    )
    ax.set_yticks([])
    ax.set_xticks([0, 20, 50, *range(100, FARTHEST_MS + 1, 50)])
    ax.tick_params(length=2.5, labelsize=8, color=INK, labelcolor=INK)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(
        'round-trip time in ms between users and their server,'
        ' the colour of its arc',
        size=8.5,
        color=FAINT_INK,
    )


def _where(project: Projection, region: worlds.Region) -> tuple[float, float]:
    x, y = project(np.array(region.longitude), np.array(region.latitude))
    return float(x), float(y)


def _great_circle(
    start: worlds.Region, end: worlds.Region
) -> tuple[Points, Points]:
    """Longitudes and latitudes along the shortest way, broken by a NaN
    where it crosses the map's seam.
    """
    ends = np.radians(
        [
            (start.longitude, start.latitude),
            (end.longitude, end.latitude),
        ]
    )
    one, other = (
        np.array(
            (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
        )
        for lon, lat in ends
    )
    angle = np.arccos(np.clip(one @ other, -1, 1))
    if angle == 0:
        return ends[:, 0], ends[:, 1]
    t = np.linspace(0, 1, 200)[:, np.newaxis]
    x, y, z = (
        (np.sin((1 - t) * angle) * one + np.sin(t * angle) * other)
        / np.sin(angle)
    ).T
    longitudes = _east_of_seam(np.degrees(np.arctan2(y, x)))
    latitudes = np.degrees(np.arcsin(z))
    seams = np.flatnonzero(np.abs(np.diff(longitudes)) > 180) + 1
    return (
        np.insert(longitudes, seams, np.nan),
        np.insert(latitudes, seams, np.nan),
    )


def _east_of_seam(longitudes: Points) -> Points:
    seam = MIDDLE_LONGITUDE - 180
    return (longitudes - seam) % 360 + seam


def _plain(longitudes: Points, latitudes: Points) -> tuple[Points, Points]:
    return longitudes, latitudes


def _winkel_tripel(
    longitudes: Points, latitudes: Points
) -> tuple[Points, Points]:
    """Winkel's projection of 1921: areas, angles and distances near true."""
    lon = np.radians(longitudes - MIDDLE_LONGITUDE)
    lat = np.radians(latitudes)
    alpha = np.arccos(np.cos(lat) * np.cos(lon / 2))
    sinc = np.sinc(alpha / np.pi)
    x = (lon * 2 / np.pi + 2 * np.cos(lat) * np.sin(lon / 2) / sinc) / 2
    y = (lat + np.sin(lat) / sinc) / 2
    return x, y


def _land(project: Projection) -> list[paths.Path]:
    return [
        paths.Path.make_compound_path(
            *(
                paths.Path(
                    np.column_stack(project(*np.array(ring).T)), closed=True
                )
                for ring in polygon
            )
        )
        for polygon in _outlines()
    ]


@functools.cache
def _outlines() -> list[list[list[tuple[float, float]]]]:
    """Polygons of rings of longitude and latitude."""
    outlines: list[list[list[tuple[float, float]]]] = json.loads(
        LAND.read_text()
    )
    return outlines
