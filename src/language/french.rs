//! Français, avec vous, et sans genre.

use super::texts::{Around, Notice, Texts, Told};
use crate::web::construct::Construct;

const AGAIN: &str = "Veuillez vous reconnecter.";
const LATER: &str = "Veuillez réessayer dans une minute. Si le problème persiste, prévenez l’administrateur de cette application.";
const AGAIN_OR_TELL: &str = "Veuillez réessayer. Si le problème se reproduit, prévenez l’administrateur de cette application \
                             en lui indiquant le numéro de référence.";
const OPERATOR: &str = "Veuillez prévenir l’administrateur de cette application en lui indiquant le numéro de référence.";
const BACK: &str = "Revenez à l’application.";
const NOT_LOGGED_IN: &str = "La connexion n’a pas eu lieu";
const FAILED: &str = "La connexion a échoué";
const NOT_AVAILABLE: &str = "La connexion est indisponible pour le moment";
const NOT_HERE: &str = "Cette action est impossible ici";

pub(super) const TEXTS: Texts = Texts {
    log_in: "Se connecter",
    log_in_with: Around("Se connecter avec ", ""),
    log_in_for: Around("Se connecter pour ", ""),
    try_again: "Réessayer",
    try_again_for: Around("Réessayer pour ", ""),
    use_another_account: "Utiliser un autre compte",
    log_out: "Se déconnecter",
    log_out_here: "Se déconnecter d’ici seulement",
    log_out_everywhere: "Se déconnecter partout",
    back_to_the_application: "Retour à l’application",

    choose: "Choisissez comment vous connecter.",
    on_the_way: "Vous allez être dirigé vers la page de connexion.",
    last_used: "Dernier choix",
    logged_out: Notice { title: "Déconnexion effectuée", text: "Vous pouvez fermer cette page ou vous reconnecter." },
    address_too_long: Notice {
        title: "Vous êtes connecté",
        text: "L’adresse d’où vous venez est trop longue pour être conservée pendant la connexion. Ouvrez-la de nouveau.",
    },
    everywhere: Notice {
        title: "Se déconnecter partout ?",
        text: "Toutes les sessions de votre compte dans cette application se terminent, dans tous les navigateurs et sur tous les appareils.",
    },
    session_ended: "Votre session a pris fin. Rechargez la page pour vous reconnecter.",
    reference_number: "Numéro de référence\u{a0}:",
    request_id: "Identifiant de la requête\u{a0}:",

    malformed: Told {
        title: "Cette requête est incompréhensible",
        happened: "L’adresse ou un en-tête de la requête est mal formé.",
        advice: "Vérifiez l’adresse ou revenez à l’application.",
    },
    malformed_by: Around("Élément ambigu : ", "."),
    construct,
    method_not_allowed: Told {
        title: NOT_HERE,
        happened: "Cette page peut être consultée, mais rien ne peut lui être envoyé.",
        advice: BACK,
    },
    not_visited: Told {
        title: NOT_HERE,
        happened: "Cette adresse est destinée à être ouverte depuis cette application, et non chargée par une autre page.",
        advice: BACK,
    },
    login_required: Told {
        title: "Veuillez vous connecter",
        happened: "Vous n’avez pas ouvert de session, ou elle a expiré. Votre envoi n’a pas été transmis.",
        advice: "Connectez-vous, puis recommencez.",
    },
    not_a_page: Told { title: "Il n’y a rien ici", happened: "Aucune page n’a cette adresse.", advice: BACK },
    account_denied: Notice {
        title: "Ce compte n’a pas accès",
        text: "Utilisez un autre compte ou demandez l’accès à l’administrateur de cette application.",
    },
    denied_as: Around("Vous utilisez le compte ", ", qui n’a pas accès à cette page."),
    everybody_denied: Told { title: "Accès impossible", happened: "Personne n’a accès à cette page.", advice: BACK },
    unknown_provider: Told {
        title: "Ce mode de connexion n’existe pas",
        happened: "Le lien indique un mode de connexion que cette application ne propose pas.",
        advice: AGAIN,
    },
    login_initiation: Told {
        title: "Cette connexion ne peut pas commencer",
        happened: "Le site d’où vous venez n’a pas indiqué, ou pas sous la forme requise, de quelle connexion il s’agit.",
        advice: AGAIN,
    },
    another_issuer: Told {
        title: "Cette connexion a été interrompue",
        happened: "La réponse vient d’un autre fournisseur que celui vers lequel vous avez été dirigé. Personne n’a été connecté.",
        advice: "Veuillez vous reconnecter. Si le problème se reproduit, prévenez l’administrateur de cette application \
                 en lui indiquant le numéro de référence.",
    },
    not_an_answer: Told {
        title: FAILED,
        happened: "Ce que le fournisseur a renvoyé n’est pas une réponse à une connexion\u{a0}; celle-ci n’a donc pas eu lieu.",
        advice: AGAIN_OR_TELL,
    },
    unknown_state: Told {
        title: "Cette connexion ne peut pas aboutir",
        happened: "Elle n’a pas été commencée dans ce navigateur, a déjà été utilisée ou a pris trop de temps.",
        advice: AGAIN,
    },
    attempt_used: Told {
        title: "Cette connexion a déjà été utilisée",
        happened: "La même connexion est déjà parvenue ici, de ce navigateur ou d’une copie. Vous êtes peut-être déjà connecté.",
        advice: AGAIN,
    },
    login_ended: Told {
        title: "Cette connexion a été interrompue",
        happened: "Votre compte a été déconnecté partout pendant votre connexion, ou juste avant.",
        advice: AGAIN,
    },
    cancelled: Told {
        title: NOT_LOGGED_IN,
        happened: "La connexion a été annulée, ou le fournisseur n’a pas donné à cette application l’accès à votre compte.",
        advice: "Vous pouvez réessayer ou choisir un autre compte.",
    },
    consent_required: Told {
        title: NOT_LOGGED_IN,
        happened: "Le fournisseur a besoin de votre accord pour indiquer à cette application qui vous êtes, et ne l’a pas obtenu.",
        advice: "Reconnectez-vous et acceptez, ou demandez à l’administrateur de cette application de faire accepter pour tous.",
    },
    provider_login_required: Told {
        title: NOT_LOGGED_IN,
        happened: "Vous n’avez pas de session ouverte chez le fournisseur, et il n’en a pas demandé.",
        advice: AGAIN,
    },
    interaction_required: Told {
        title: NOT_LOGGED_IN,
        happened: "Le fournisseur attend encore quelque chose de votre part, comme un second facteur ou le choix d’un compte.",
        advice: "Reconnectez-vous et suivez les pages du fournisseur jusqu’au bout.",
    },
    provider_in_trouble: Told {
        title: NOT_AVAILABLE,
        happened: "Le fournisseur qui vérifie les connexions rencontre un problème.",
        advice: LATER,
    },
    provider_refused: Told { title: FAILED, happened: "Le fournisseur n’a pas pu vous connecter.", advice: AGAIN_OR_TELL },
    provider_unreachable: Told {
        title: NOT_AVAILABLE,
        happened: "Le fournisseur qui vérifie les connexions est injoignable.",
        advice: LATER,
    },
    answer_unacceptable: Told {
        title: FAILED,
        happened: "La réponse du fournisseur n’a pas pu être acceptée\u{a0}; la connexion n’a donc pas eu lieu.",
        advice: AGAIN_OR_TELL,
    },
    session_too_large: Told {
        title: "La connexion est trop volumineuse",
        happened: "Le fournisseur transmet sur vous plus qu’un navigateur ne peut conserver (souvent une très longue liste de groupes).",
        advice: OPERATOR,
    },
    not_set_up: Told {
        title: "La connexion n’est pas configurée",
        happened: "La connexion de cette application n’a pas de configuration valable.",
        advice: OPERATOR,
    },
    not_remembered: Told {
        title: NOT_HERE,
        happened: "Cette installation ne retient pas quelles sessions sont terminées. Elle ne peut terminer que la session de ce navigateur.",
        advice: "Déconnectez-vous ici, puis dans chacun des autres navigateurs.",
    },
    not_refreshable: Told {
        title: "La session ne peut pas être actualisée",
        happened: "Le fournisseur n’a émis aucun jeton d’actualisation pour cette session, ou ne l’accepte plus.",
        advice: "Connectez-vous de nouveau.",
    },
    refreshed_too_soon: Told {
        title: "La session est à jour",
        happened: "Le fournisseur a répondu il y a moins d’une minute.",
        advice: "Attendez une minute, puis réessayez.",
    },

    filter_failed: Notice {
        title: "Un problème est survenu",
        text: "Aucune décision n’a pu être prise sur cette requête\u{a0}; elle n’a donc pas été transmise.",
    },
    overloaded: Notice {
        title: "Trop d’affluence",
        text: "Il y a plus de requêtes qu’il n’est possible d’en traiter. Veuillez réessayer dans un instant.",
    },
    store_unreachable: Notice {
        title: "Veuillez réessayer bientôt",
        text: "Il est impossible pour le moment de vérifier si votre session est toujours valable. Veuillez réessayer dans une minute.",
    },
    upstream_unreachable: Notice {
        title: "L’application est indisponible",
        text: "Elle est injoignable pour le moment. Veuillez réessayer dans une minute.",
    },
    upstream_timed_out: Notice {
        title: "L’application ne répond pas",
        text: "La réponse a pris trop de temps. Veuillez réessayer dans une minute.",
    },
    too_many_logins: Notice {
        title: "Trop de connexions",
        text: "Votre réseau a demandé plus de connexions qu’une minute n’en autorise. Rien n’est perdu\u{a0}: \
               veuillez réessayer dans un instant.",
    },
    body_too_large: Notice { title: "Envoi trop volumineux", text: "L’envoi dépasse la taille acceptée ici." },
    body_too_slow: Notice { title: "La requête a pris trop de temps", text: "L’envoi n’est pas arrivé en entier à temps." },
    too_many_requests: Notice {
        title: "Trop de requêtes",
        text: "Votre réseau envoie à la fois plus de requêtes qu’il n’est autorisé. Veuillez réessayer dans un instant.",
    },
};

fn construct(construct: Construct) -> &'static str {
    match construct {
        Construct::EmptySegment => "une partie vide de l’adresse (//)",
        Construct::DotSegment => "un . ou un .. dans l’adresse, ou une partie qui peut être lue ainsi",
        Construct::BrokenEscape => "un % sans deux chiffres hexadécimaux",
        Construct::ControlCharacter => "un caractère de contrôle encodé (%00 à %1F, %7F)",
        Construct::EscapedTwice => "un caractère encodé deux fois (%2561)",
        Construct::NotUtf8 => "des octets qui ne sont pas de l’UTF-8",
        Construct::EncodedSeparator => "une barre oblique ou une barre oblique inverse encodée (%2F, %5C)",
        Construct::Parameter => "un ; ou un & dans l’adresse",
        Construct::EncodedEnd => "un ? ou un # encodé (%3F, %23)",
        Construct::SegmentEnd => "un point, un deux-points ou une espace à la fin d’une partie de l’adresse, ou une espace à son début",
        Construct::Plus => "un + dans l’adresse",
        Construct::SessionSegment => "une session dans l’adresse ((S(x)))",
        Construct::LetterCase => "les majuscules et les minuscules de l’adresse",
        Construct::Characters => "des caractères spéciaux de l’adresse qui peuvent être pris pour d’autres",
        Construct::TooLong => "une adresse trop longue, ou qui peut être lue de trop de façons",
        Construct::MethodCase => "une méthode en minuscules",
        Construct::MethodOverride => "un en-tête qui nomme une autre méthode, comme X-HTTP-Method-Override",
        Construct::Host => "l’hôte (l’en-tête Host), absent, donné deux fois ou mal formé",
        Construct::Target => "une adresse trop longue, ou qui contient #, \\ ou un caractère à encoder",
    }
}
