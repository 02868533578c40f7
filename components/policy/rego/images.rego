package lib.images

# As strict as a reference can be: lower case, a registry with a dot, no empty and no dotted component.
component := `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`

pattern := concat("", [
  `^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]+)?(?:/`, component, `)+`,
  `(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[a-f0-9]{64})?$`,
])

valid(image) if regex.match(pattern, image)

by_digest(image) if regex.match(`@sha256:[a-f0-9]{64}$`, image)

# The tag as it is written; none is "latest", unless a digest says which.
tag(image) := tags[1] if {
  last := regex.replace(split(image, "@")[0], `^.*/`, "")
  tags := split(last, ":")
  count(tags) == 2
} else := "latest" if not contains(image, "@")

# Every image that a pod starts from, and those that it mounts.
of(review, containers, spec) := array.concat(
  [{"what": container.what, "image": object.get(container.spec, "image", "")} | some container in containers],
  [{"what": sprintf("volume %q", [volume.name]), "image": object.get(volume.image, "reference", "")} |
    some volume in object.get(spec, "volumes", [])
    volume.image
  ],
)
