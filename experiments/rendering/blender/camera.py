"""Camera and lights of a subject's picture."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from experiments.rendering.blender.stage import Stage

PANORAMAS = ("city", "courtyard", "forest", "interior", "studio", "sunrise", "sunset")
SENSOR_MM = 36.0
_FOCUS_SHARE = 0.25  # of pictures with a visible depth of field
_MOTION_SHARE = 0.06  # of pictures with motion blur
_KEY_LIGHT_SHARE = 0.6  # of pictures with a sun besides the panorama


def place_camera(stage: Stage) -> None:
    """Point a camera at the subject; now and then with shallow focus or motion."""
    rng, view = stage.rng, stage.view
    azimuth = np.deg2rad(rng.uniform(*view.azimuth_degrees))
    elevation = np.deg2rad(rng.uniform(*view.elevation_degrees))
    lens = rng.uniform(*view.lens_mm)
    fill = rng.uniform(*view.fill)
    roll = np.deg2rad(rng.normal(0, 4))
    # The camera stands in direction `back` of the subject; azimuth 0 is -y.
    back = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            -np.cos(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    right, up = (
        np.cos(roll) * right + np.sin(roll) * up,
        np.cos(roll) * up - np.sin(roll) * right,
    )
    axes = np.stack([right, up, back], 1)
    seen = stage.framed_points() @ axes
    low, high = np.quantile(seen, [0.002, 0.998], axis=0)
    centre = (low + high) / 2
    seen = np.abs(seen - centre)[:, :2], (seen - centre)[:, 2]
    # A point at depth z is inside the picture from distances of at least |x| k + z.
    slope = 2 * lens / SENSOR_MM / fill
    reach = seen[0].max(1) * slope + seen[1]
    distance = float(np.quantile(reach, 0.995))
    offset = np.array([*rng.uniform(-0.04, 0.04, 2) * distance / slope, 0])
    position = axes @ (centre + offset + [0, 0, distance])

    data = bpy.data.cameras.new("camera")
    data.lens, data.sensor_width = lens, SENSOR_MM
    data.clip_start, data.clip_end = distance / 100, distance * 10
    made = bpy.data.objects.new("camera", data)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, position
    made.matrix_world = Matrix(matrix.tolist())
    stage.scene.collection.objects.link(made)
    stage.scene.camera = made
    if rng.random() < _FOCUS_SHARE:
        depth = float(np.ptp(seen[1])) / 2
        data.dof.use_dof = True
        data.dof.focus_distance = distance - depth * rng.uniform(-0.2, 0.9)
        # A point at the far end is spread over this share of the picture.
        spread = rng.uniform(0.004, 0.025)
        width = distance / (lens / SENSOR_MM)
        aperture = spread * width * distance / max(depth, 1e-3)
        data.dof.aperture_fstop = (lens / 1000) / max(aperture, 1e-4)
    if rng.random() < _MOTION_SHARE:
        _move(stage, rng.normal(0, 0.03, 3) * distance / slope)


def _move(stage: Stage, way: np.ndarray) -> None:
    """Let the subject move while the shutter is open, and turn a little."""
    turn = stage.rng.normal(0, 0.04)
    for frame, sign in ((0, -1), (2, 1)):
        stage.root.location = tuple(sign * way)
        stage.root.rotation_euler = (0, 0, sign * turn)
        stage.root.keyframe_insert("location", frame=frame)
        stage.root.keyframe_insert("rotation_euler", frame=frame)
    stage.scene.render.use_motion_blur = True
    stage.scene.render.motion_blur_shutter = 0.5
    stage.scene.frame_set(1)


def place_lights(stage: Stage) -> None:
    """Light the subject by a panorama and, more often than not, a key light."""
    rng = stage.rng
    name = str(rng.choice(PANORAMAS))
    folder = Path(bpy.utils.resource_path("LOCAL")) / "datafiles/studiolights/world"
    world = bpy.data.worlds.new("world")
    stage.scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    panorama = tree.nodes.new("ShaderNodeTexEnvironment")
    panorama.image = bpy.data.images.load(str(folder / f"{name}.exr"))
    place = tree.nodes.new("ShaderNodeMapping")
    place.inputs["Rotation"].default_value[2] = rng.uniform(0, 2 * np.pi)
    direction = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(direction.outputs["Generated"], place.inputs["Vector"])
    tree.links.new(place.outputs[0], panorama.inputs["Vector"])
    background = tree.nodes["Background"]
    tree.links.new(panorama.outputs[0], background.inputs["Color"])
    background.inputs["Strength"].default_value = stage.light * rng.uniform(0.6, 1.3)
    if rng.random() < _KEY_LIGHT_SHARE:
        sun = bpy.data.lights.new("sun", "SUN")
        sun.energy = stage.light * rng.uniform(0.8, 3.5)
        sun.angle = rng.uniform(0.01, 0.5)
        warmth = rng.uniform(-0.3, 0.3)
        sun.color = (1 + min(0, warmth), 1 - abs(warmth) / 3, 1 - max(0, warmth))
        made = bpy.data.objects.new("sun", sun)
        # The camera looks along its own -z: lights come from all round the subject.
        made.rotation_euler = (
            rng.uniform(0.2, 1.35),
            0,
            rng.uniform(0, 2 * np.pi),
        )
        stage.scene.collection.objects.link(made)
