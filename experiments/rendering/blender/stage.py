"""The stage: meshes, curves and materials from NumPy arrays, in a Blender scene.

Runs in Blender's interpreter, which has NumPy but not the project's packages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

COLOUR_ATTRIBUTE, OPACITY_ATTRIBUTE = "colour", "opacity"
_FRAMED_POINTS = 20_000  # points that the camera is placed by, at most


@dataclass
class View:
    """How the camera looks at the subject; a kind sets what it needs.

    Attributes:
      azimuth_degrees: range of the direction that the camera stands in.
      elevation_degrees: range of its height above the horizon.
      lens_mm: range of focal lengths on a sensor of 36 mm.
      fill: range of the share of the picture that the subject takes; above 1 the
        picture's border cuts it.
    """

    azimuth_degrees: tuple[float, float] = (-180.0, 180.0)
    elevation_degrees: tuple[float, float] = (-10.0, 35.0)
    lens_mm: tuple[float, float] = (45.0, 110.0)
    fill: tuple[float, float] = (0.8, 1.05)


@dataclass
class Stage:
    """An empty scene that a kind of subject puts its parts on.

    Lengths are in units of about the subject's size, z points up, colours are linear
    RGB in [0, 1]. All randomness comes from `rng`, so that a subject is a pure
    function of its kind and seed.

    Attributes:
      rng: random numbers of this subject.
      view: how the camera is to look at it.
      light: multiplies the strength of all lights.
    """

    rng: np.random.Generator
    view: View = field(default_factory=View)
    light: float = 1.0

    def __post_init__(self):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.root = bpy.data.objects.new("root", None)
        self.scene.collection.objects.link(self.root)
        self._materials: list[tuple[Any, Any, Any, Any]] = []
        self._points: list[np.ndarray] = []

    def curves(
        self,
        points: np.ndarray,
        radius: np.ndarray | float,
        material: Any,
        *,
        colour: np.ndarray | None = None,
        framed: bool = True,
    ) -> None:
        """Add strands.

        Args:
          points: [N, K, 3], from root to tip.
          radius: of the strands, broadcast to [N, K].
          material: of `material`.
          colour: [N, 3] of each strand or [N, K, 3] along them, for materials without
            a colour of their own.
          framed: whether the camera takes care to show them.
        """
        count, length = points.shape[:2]
        data = bpy.data.hair_curves.new("curves")
        data.add_curves([length] * count)
        flat = np.ascontiguousarray(points, np.float32).ravel()
        data.points.foreach_set("position", flat)
        radius = np.broadcast_to(np.asarray(radius, np.float32), (count, length))
        data.points.foreach_set("radius", np.ascontiguousarray(radius).ravel())
        if colour is not None:
            domain = "CURVE" if colour.ndim == 2 else "POINT"
            _add_colours(data, domain, colour)
        self._add("curves", data, material, points if framed else None)

    def mesh(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        material: Any,
        *,
        colour: np.ndarray | None = None,
        opacity: np.ndarray | None = None,
        uv: np.ndarray | None = None,
        smooth: bool = True,
        framed: bool = True,
    ) -> None:
        """Add a surface.

        Args:
          vertices: [N, 3].
          faces: [M, 3] or [M, 4] indices of vertices.
          material: of `material`.
          colour: [N, 3], for materials without a colour of their own.
          opacity: [N] in [0, 1], for materials whose opacity is "attribute".
          uv: [N, 2] in [0, 1], for materials with textures; row 0 of a texture is at
            v = 1.
          smooth: whether faces are shaded as one smooth surface.
          framed: whether the camera takes care to show it.
        """
        data = bpy.data.meshes.new("mesh")
        faces = np.asarray(faces)
        data.vertices.add(len(vertices))
        data.vertices.foreach_set("co", np.asarray(vertices, np.float32).ravel())
        corners = faces.shape[1]
        data.loops.add(faces.size)
        data.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
        data.polygons.add(len(faces))
        starts = np.arange(0, faces.size, corners, dtype=np.int32)
        data.polygons.foreach_set("loop_start", starts)
        data.polygons.foreach_set("use_smooth", np.full(len(faces), smooth))
        if uv is not None:
            layer = data.uv_layers.new(name="uv")
            layer.data.foreach_set("uv", uv[faces.ravel()].astype(np.float32).ravel())
        data.update(calc_edges=True)
        data.validate()
        if colour is not None:
            _add_colours(data, "POINT", colour)
        if opacity is not None:
            attribute = data.attributes.new(OPACITY_ATTRIBUTE, "FLOAT", "POINT")
            attribute.data.foreach_set("value", opacity.astype(np.float32).ravel())
        self._add("mesh", data, material, vertices if framed else None)

    def material(
        self,
        colour: tuple[float, float, float] | np.ndarray | None = None,
        *,
        opacity: float | str | np.ndarray | None = None,
        roughness: float = 0.5,
        metallic: float = 0.0,
        specular: float = 0.5,
        sheen: float = 0.0,
        coat: float = 0.0,
        translucent: float = 0.0,
        glancing: float = 0.0,
    ) -> Any:
        """Make a material.

        Args:
          colour: one for all; a texture [H, W, 3]; None: that of the parts.
          opacity: one for all in [0, 1]; a texture [H, W]; "attribute": that of the
            parts; None: opaque.
          roughness, metallic, specular, sheen, coat: of Blender's Principled BSDF.
          translucent: share of light that shines through, as leaves and cloth do.
          glancing: how much opacity grows to 1 where the surface is seen edge-on,
            as glass and film do; 0: not at all.
        """
        made = bpy.data.materials.new("material")
        made.use_nodes = True
        tree = made.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("ShaderNodeOutputMaterial")
        surface = tree.nodes.new("ShaderNodeBsdfPrincipled")
        for name, value in (
            ("Roughness", roughness),
            ("Metallic", metallic),
            ("Specular IOR Level", specular),
            ("Sheen Weight", sheen),
            ("Coat Weight", coat),
        ):
            surface.inputs[name].default_value = value
        paint = self._value(tree, colour, COLOUR_ATTRIBUTE, "Color")
        self._connect(tree, paint, surface.inputs["Base Color"])
        lit = surface.outputs[0]
        if translucent:
            through = tree.nodes.new("ShaderNodeBsdfTranslucent")
            self._connect(tree, paint, through.inputs["Color"])
            lit = _mixed(tree, translucent, lit, through.outputs[0])
        white = tree.nodes.new("ShaderNodeEmission").outputs[0]
        if opacity is not None:
            if isinstance(opacity, str):
                opacity = None  # that of the parts
            amount = self._value(tree, opacity, OPACITY_ATTRIBUTE, "Fac")
            if glancing:
                amount = _glancing(tree, amount, glancing)
            clear = tree.nodes.new("ShaderNodeBsdfTransparent").outputs[0]
            lit = _mixed(tree, amount, clear, lit)
            white = _mixed(tree, amount, clear, white)
        tree.links.new(lit, output.inputs["Surface"])
        self._materials.append((tree, output, lit, white))
        return made

    def show_alpha(self) -> None:
        """Let every material shine white, as strongly as it is opaque."""
        for tree, output, _, white in self._materials:
            tree.links.new(white, output.inputs["Surface"])

    def frame(self, points: np.ndarray) -> None:
        """Have the camera show points [N, 3], whether anything is there or not."""
        self._points.append(points)

    def framed_points(self) -> np.ndarray:
        """Return points that the camera is to show, [N, 3]."""
        points = np.concatenate(self._points)
        return points[:: max(1, len(points) // _FRAMED_POINTS)]

    def _add(self, name: str, data: Any, material: Any, points: np.ndarray | None):
        data.materials.append(material)
        made = bpy.data.objects.new(name, data)
        made.parent = self.root
        self.scene.collection.objects.link(made)
        if points is not None:
            self._points.append(np.asarray(points).reshape(-1, 3))

    @staticmethod
    def _value(tree: Any, value: Any, attribute: str, output: str) -> Any:
        """Return a number or a tuple as it is, else the socket that gives it."""
        if value is None:
            node = tree.nodes.new("ShaderNodeAttribute")
            node.attribute_name = attribute
            return node.outputs[output]
        if not isinstance(value, np.ndarray):
            return value
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = _image(value)
        node.extension = "EXTEND"
        return node.outputs["Color"]

    @staticmethod
    def _connect(tree: Any, value: Any, target: Any) -> None:
        if isinstance(value, tuple):
            target.default_value = (*value, 1.0)
        else:
            tree.links.new(value, target)


def _image(values: np.ndarray) -> Any:
    """Make an image of [H, W] or [H, W, 3], linear."""
    height, width = values.shape[:2]
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = values if values.ndim == 3 else values[..., None]
    made = bpy.data.images.new("texture", width, height, float_buffer=True)
    made.colorspace_settings.name = "Non-Color"
    made.pixels.foreach_set(pixels[::-1].ravel())
    return made


def _add_colours(data: Any, domain: str, colour: np.ndarray) -> None:
    attribute = data.attributes.new(COLOUR_ATTRIBUTE, "FLOAT_COLOR", domain)
    flat = np.ones((colour.size // 3, 4), np.float32)
    flat[:, :3] = colour.reshape(-1, 3)
    attribute.data.foreach_set("color", flat.ravel())


def _mixed(tree: Any, amount: Any, first: Any, second: Any) -> Any:
    node = tree.nodes.new("ShaderNodeMixShader")
    if isinstance(amount, int | float):
        node.inputs[0].default_value = amount
    else:
        tree.links.new(amount, node.inputs[0])
    tree.links.new(first, node.inputs[1])
    tree.links.new(second, node.inputs[2])
    return node.outputs[0]


def _glancing(tree: Any, amount: Any, strength: float) -> Any:
    """Return amount + (1 - amount) strength facing^3."""
    facing = tree.nodes.new("ShaderNodeLayerWeight")
    facing.inputs["Blend"].default_value = 0.5
    cube = tree.nodes.new("ShaderNodeMath")
    cube.operation = "POWER"
    tree.links.new(facing.outputs["Facing"], cube.inputs[0])
    cube.inputs[1].default_value = 3.0
    scaled = tree.nodes.new("ShaderNodeMath")
    scaled.operation = "MULTIPLY"
    tree.links.new(cube.outputs[0], scaled.inputs[0])
    scaled.inputs[1].default_value = strength
    blend = tree.nodes.new("ShaderNodeMix")
    tree.links.new(scaled.outputs[0], blend.inputs["Factor"])
    if isinstance(amount, int | float):
        blend.inputs["A"].default_value = amount
    else:
        tree.links.new(amount, blend.inputs["A"])
    blend.inputs["B"].default_value = 1.0
    return blend.outputs[0]
