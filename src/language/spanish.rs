//! Español, con usted.

use super::texts::{Around, Notice, Texts, Told};
use crate::web::construct::Construct;

const AGAIN: &str = "Vuelva a iniciar sesión.";
const LATER: &str = "Inténtelo de nuevo en un minuto. Si el problema continúa, avise al administrador de esta aplicación.";
const AGAIN_OR_TELL: &str =
    "Inténtelo de nuevo. Si vuelve a ocurrir, avise al administrador de esta aplicación e indíquele el número de referencia.";
const OPERATOR: &str = "Avise al administrador de esta aplicación e indíquele el número de referencia.";
const BACK: &str = "Vuelva a la aplicación.";
const NOT_LOGGED_IN: &str = "No se ha iniciado la sesión";
const FAILED: &str = "El inicio de sesión ha fallado";
const NOT_AVAILABLE: &str = "El inicio de sesión no está disponible ahora";
const NOT_HERE: &str = "Esto no es posible aquí";

pub(super) const TEXTS: Texts = Texts {
    log_in: "Iniciar sesión",
    log_in_with: Around("Iniciar sesión con ", ""),
    log_in_for: Around("Iniciar sesión para ", ""),
    try_again: "Intentar de nuevo",
    try_again_for: Around("Intentar de nuevo para ", ""),
    use_another_account: "Usar otra cuenta",
    log_out: "Cerrar sesión",
    log_out_here: "Cerrar sesión solo aquí",
    log_out_everywhere: "Cerrar sesión en todas partes",
    back_to_the_application: "Volver a la aplicación",

    choose: "Elija cómo quiere iniciar sesión.",
    on_the_way: "Se le está llevando al inicio de sesión.",
    last_used: "Última opción usada",
    logged_out: Notice { title: "Ha cerrado la sesión", text: "Puede cerrar esta página o volver a iniciar sesión." },
    address_too_long: Notice {
        title: "Ha iniciado sesión",
        text: "La dirección de la que viene es demasiado larga para conservarla durante el inicio de sesión. Ábrala de nuevo.",
    },
    everywhere: Notice {
        title: "¿Cerrar sesión en todas partes?",
        text: "Todas las sesiones de su cuenta en esta aplicación terminan, en todos los navegadores y dispositivos.",
    },
    session_ended: "Su sesión ha terminado. Vuelva a cargar la página para iniciar sesión.",
    reference_number: "Número de referencia:",
    request_id: "Identificador de la solicitud:",

    malformed: Told {
        title: "No se entiende esta solicitud",
        happened: "La dirección o un encabezado de la solicitud tiene un formato incorrecto.",
        advice: "Compruebe la dirección o vuelva a la aplicación.",
    },
    malformed_by: Around("Elemento ambiguo: ", "."),
    construct,
    method_not_allowed: Told { title: NOT_HERE, happened: "Esta página se puede visitar, pero no se le puede enviar nada.", advice: BACK },
    not_visited: Told {
        title: NOT_HERE,
        happened: "Esta dirección está pensada para visitarse desde esta aplicación, no para que la cargue otra página.",
        advice: BACK,
    },
    login_required: Told {
        title: "Inicie sesión",
        happened: "No ha iniciado sesión o su sesión ha terminado. Lo que envió no se ha transmitido.",
        advice: "Inicie sesión y repita la operación.",
    },
    not_a_page: Told { title: "Aquí no hay nada", happened: "Ninguna página tiene esta dirección.", advice: BACK },
    account_denied: Notice {
        title: "Esta cuenta no tiene acceso",
        text: "Use otra cuenta o pida acceso al administrador de esta aplicación.",
    },
    denied_as: Around("Ha iniciado sesión como ", ", y esta cuenta no puede ver esta página."),
    everybody_denied: Told { title: "No hay acceso", happened: "Nadie puede ver esta página.", advice: BACK },
    unknown_provider: Told {
        title: "No existe ese inicio de sesión",
        happened: "El enlace indica una forma de iniciar sesión que esta aplicación no tiene.",
        advice: AGAIN,
    },
    login_initiation: Told {
        title: "Este inicio de sesión no puede empezar",
        happened: "El sitio del que viene no ha indicado, o no en la forma necesaria, de qué inicio de sesión se trata.",
        advice: AGAIN,
    },
    another_issuer: Told {
        title: "Este inicio de sesión se ha detenido",
        happened: "La respuesta vino de un proveedor distinto de aquel al que se le envió. No se ha iniciado ninguna sesión.",
        advice: "Vuelva a iniciar sesión. Si vuelve a ocurrir, avise al administrador de esta aplicación e indíquele el número de referencia.",
    },
    not_an_answer: Told {
        title: FAILED,
        happened: "Lo que devolvió el proveedor no es una respuesta a un inicio de sesión, así que no se ha iniciado la sesión.",
        advice: AGAIN_OR_TELL,
    },
    unknown_state: Told {
        title: "Este inicio de sesión no se puede completar",
        happened: "No empezó en este navegador, ya se ha usado o ha tardado demasiado.",
        advice: AGAIN,
    },
    attempt_used: Told {
        title: "Este inicio de sesión ya se ha usado",
        happened: "El mismo inicio de sesión ya llegó aquí, de este navegador o de una copia. Quizá la sesión ya esté iniciada.",
        advice: AGAIN,
    },
    login_ended: Told {
        title: "Este inicio de sesión se ha terminado",
        happened: "La sesión de su cuenta se cerró en todas partes mientras usted iniciaba sesión, o justo antes.",
        advice: AGAIN,
    },
    cancelled: Told {
        title: NOT_LOGGED_IN,
        happened: "El inicio de sesión se canceló, o el proveedor no dio a esta aplicación acceso a su cuenta.",
        advice: "Puede intentarlo de nuevo o elegir otra cuenta.",
    },
    consent_required: Told {
        title: NOT_LOGGED_IN,
        happened: "El proveedor necesita su consentimiento para decir a esta aplicación quién es usted, y no lo ha recibido.",
        advice: "Vuelva a iniciar sesión y acepte, o pida al administrador de esta aplicación que se acepte para todos.",
    },
    provider_login_required: Told {
        title: NOT_LOGGED_IN,
        happened: "Ahora no tiene una sesión en el proveedor, y este no se la ha pedido.",
        advice: AGAIN,
    },
    interaction_required: Told {
        title: NOT_LOGGED_IN,
        happened: "El proveedor necesita algo más de usted, como un segundo factor o la elección de una cuenta.",
        advice: "Vuelva a iniciar sesión y siga las páginas del proveedor hasta el final.",
    },
    provider_in_trouble: Told {
        title: NOT_AVAILABLE,
        happened: "El proveedor que comprueba los inicios de sesión tiene problemas.",
        advice: LATER,
    },
    provider_refused: Told { title: FAILED, happened: "El proveedor no pudo iniciar su sesión.", advice: AGAIN_OR_TELL },
    provider_unreachable: Told {
        title: NOT_AVAILABLE,
        happened: "No se puede contactar con el proveedor que comprueba los inicios de sesión.",
        advice: LATER,
    },
    answer_unacceptable: Told {
        title: FAILED,
        happened: "No se pudo aceptar la respuesta del proveedor, así que no se ha iniciado la sesión.",
        advice: AGAIN_OR_TELL,
    },
    session_too_large: Told {
        title: "El inicio de sesión es demasiado grande",
        happened: "El proveedor comunica sobre usted más de lo que un navegador puede guardar (a menudo, una lista muy larga de grupos).",
        advice: OPERATOR,
    },
    not_set_up: Told {
        title: "El inicio de sesión no está configurado",
        happened: "El inicio de sesión de esta aplicación no tiene una configuración válida.",
        advice: OPERATOR,
    },
    not_remembered: Told {
        title: NOT_HERE,
        happened: "Esta instalación no recuerda qué sesiones han terminado, así que solo puede terminar la sesión de este navegador.",
        advice: "Cierre la sesión aquí y en cada uno de los otros navegadores.",
    },
    not_refreshable: Told {
        title: "La sesión no se puede actualizar",
        happened: "El proveedor no emitió ningún token de actualización para esta sesión, o ya no lo acepta.",
        advice: "Inicie sesión de nuevo.",
    },
    refreshed_too_soon: Told {
        title: "La sesión está al día",
        happened: "El proveedor respondió hace menos de un minuto.",
        advice: "Espere un minuto e inténtelo de nuevo.",
    },

    filter_failed: Notice { title: "Algo ha ido mal", text: "No se pudo decidir sobre esta solicitud, así que no se ha transmitido." },
    overloaded: Notice {
        title: "Demasiada actividad",
        text: "Hay más solicitudes de las que se pueden responder ahora. Inténtelo de nuevo en un momento.",
    },
    store_unreachable: Notice {
        title: "Inténtelo de nuevo en breve",
        text: "En este momento no se puede comprobar si su sesión sigue siendo válida. Inténtelo de nuevo en un minuto.",
    },
    upstream_unreachable: Notice {
        title: "La aplicación no está disponible",
        text: "Ahora no se puede contactar con ella. Inténtelo de nuevo en un minuto.",
    },
    upstream_timed_out: Notice { title: "La aplicación no responde", text: "Ha tardado demasiado. Inténtelo de nuevo en un minuto." },
    too_many_logins: Notice {
        title: "Demasiados inicios de sesión",
        text: "Desde su red hubo más inicios de sesión de los permitidos en un minuto. No se ha perdido nada: \
               inténtelo de nuevo en un momento.",
    },
    body_too_large: Notice { title: "Se ha enviado demasiado", text: "Lo enviado supera el tamaño que se acepta aquí." },
    body_too_slow: Notice { title: "La solicitud ha tardado demasiado", text: "Lo enviado no llegó completo a tiempo." },
    too_many_requests: Notice {
        title: "Demasiadas solicitudes",
        text: "Desde su red llegan a la vez más solicitudes de las permitidas. Inténtelo de nuevo en un momento.",
    },
};

fn construct(construct: Construct) -> &'static str {
    match construct {
        Construct::EmptySegment => "una parte vacía de la dirección (//)",
        Construct::DotSegment => "un . o un .. en la dirección, o una parte que se puede leer así",
        Construct::BrokenEscape => "un % sin dos cifras hexadecimales",
        Construct::ControlCharacter => "un carácter de control codificado (%00 a %1F, %7F)",
        Construct::EscapedTwice => "un carácter codificado dos veces (%2561)",
        Construct::NotUtf8 => "bytes que no son UTF-8",
        Construct::EncodedSeparator => "una barra o una barra invertida codificada (%2F, %5C)",
        Construct::Parameter => "un ; o un & en la dirección",
        Construct::EncodedEnd => "un ? o un # codificado (%3F, %23)",
        Construct::SegmentEnd => "un punto, dos puntos o un espacio al final de una parte de la dirección, o un espacio al principio",
        Construct::Plus => "un + en la dirección",
        Construct::SessionSegment => "una sesión en la dirección ((S(x)))",
        Construct::LetterCase => "las mayúsculas y minúsculas de la dirección",
        Construct::Characters => "caracteres especiales de la dirección que se pueden confundir con otros",
        Construct::TooLong => "una dirección demasiado larga, o que se puede leer de demasiadas maneras",
        Construct::MethodCase => "un método en minúsculas",
        Construct::MethodOverride => "un encabezado que indica otro método, como X-HTTP-Method-Override",
        Construct::Host => "el host (el encabezado Host), que falta, está repetido o no tiene la forma correcta",
        Construct::Target => "una dirección demasiado larga, o que contiene #, \\ o un carácter que se debe codificar",
    }
}
