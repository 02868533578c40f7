package lib.tenant

# What the platform wrote on the object's namespace, as it was synchronised. A namespace that is not there yet has no facts,
# so that nothing is permitted in it.
namespace(review) := data.inventory.cluster.v1.Namespace[review.namespace]

label(review, name) := namespace(review).metadata.labels[concat("/", ["hetzner-platform", name])]

annotations(review) := object.get(namespace(review), ["metadata", "annotations"], {})

annotation(review, key) := object.get(annotations(review), key, "")

listed(review, name) := {item |
  some item in split(annotation(review, concat("/", ["hetzner-platform", name])), ",")
  item != ""
}

gpus(review) := number if {
  number := to_number(annotation(review, "hetzner-platform/gpus"))
} else := 0

# Whether the platform itself asks. Nobody asks when what exists is audited: the object's shape alone is judged then.
by_platform(review, groups) if object.get(review, ["userInfo", "username"], "") == ""

by_platform(review, groups) if {
  some group in review.userInfo.groups
  group in groups
}

# Absent, or the object's own.
own_namespace(namespace, named) if object.get(named, "namespace", namespace) == namespace
