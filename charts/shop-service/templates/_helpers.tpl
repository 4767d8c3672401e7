{{- /* These are called from a parent chart as well (with that service's values in `.Values`), so each takes what it
needs from the context alone. */ -}}

{{- define "shop-service.name" -}}
{{- .Values.name | default (ternary .Release.Name .Chart.Name .Chart.IsRoot) -}}
{{- end -}}

{{- /* registry/repository:tag@digest */ -}}
{{- define "shop-service.image" -}}
{{- $shared := (.Values.global | default dict).image | default dict -}}
{{- $name := include "shop-service.name" . -}}
{{- with .Values.image -}}
{{- $registry := .registry | default $shared.registry -}}
{{- $tag := .tag | default $shared.tag -}}
{{- if not (or $tag .digest) -}}
{{- fail (printf "image.tag of %s is empty: set it, or image.digest, or global.image.tag; what runs has to be named exactly" $name) -}}
{{- end -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- required (printf "image.repository of %s is empty: name the image that it runs" $name) .repository -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* A map name -> string or {valueFrom}, as the spec's list in a JSON object under `env`. */ -}}
{{- define "shop-service.envList" -}}
{{- $list := list -}}
{{- range $name, $value := . -}}
{{- if kindIs "map" $value -}}
{{- $list = append $list (set (deepCopy $value) "name" $name) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $list = append $list (dict "name" $name "value" $value) -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "env" $list) -}}
{{- end -}}

{{- /* The service's environment over the shared one; not `merge`, for which an empty string is no value. */ -}}
{{- define "shop-service.env" -}}
{{- $env := dict -}}
{{- range $name, $value := (.Values.global | default dict).env -}}{{- $_ := set $env $name $value -}}{{- end -}}
{{- range $name, $value := .Values.env -}}{{- $_ := set $env $name $value -}}{{- end -}}
{{- include "shop-service.envList" $env -}}
{{- end -}}

{{- /* What the service says itself, or what its parent shares, as JSON under `value`. */ -}}
{{- define "shop-service.own" -}}
{{- $own := index .context.Values .field -}}
{{- toJson (dict "value" ($own | default (index (.context.Values.global | default dict) .field))) -}}
{{- end -}}
